// defines: TensorBoardEvent, event_record, TensorBoardFile
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/io.h"

namespace longhaul::train {

/// What TensorBoard shows of one moment: scalars under their tags ("train/loss").
struct TensorBoardEvent {
  double wall_time = 0;  // seconds since the epoch
  int64_t step = 0;
  std::vector<std::pair<std::string, float>> scalars;
};

/// One event as it lies in an event file: a TFRecord (length, masked CRC of the length, data, masked CRC of the data)
/// around an Event message (tensorflow/core/util/event.proto). The messages are encoded by hand: they are four fields.
std::string event_record(const TensorBoardEvent& event);
/// The record every event file begins with.
std::string version_record(double wall_time);

/// An event file that is being written.
class TensorBoardFile {
 public:
  /// Creates folder/events.out.tfevents.<seconds>.<host>.<process>.<count>; the folder is made where it is missing.
  /// `first_step`: the first step this file will hold; when it is above 0, TensorBoard drops what earlier files of the
  /// folder hold from that step on, as a run that continues from a checkpoint does.
  TensorBoardFile(const io::Path& folder, double wall_time, int64_t first_step);
  void add(const TensorBoardEvent& event);
  void sync() { file_.sync(); }
  const io::Path& path() const { return file_.path(); }

 private:
  io::File file_;
};

}  // namespace longhaul::train
