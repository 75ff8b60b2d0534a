#include "train/observe/tensorboard.h"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <bit>

#include "train/observe/crc32c.h"

namespace longhaul::train {
namespace {

void put_fixed32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}
void put_fixed64(std::string& out, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// Protocol buffers: a field is a tag (number and wire type) and a value.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
void put_tag(std::string& out, uint32_t field, WireType type) { put_varint(out, field << 3 | type); }
void put_double(std::string& out, uint32_t field, double value) {
  put_tag(out, field, kFixed64);
  put_fixed64(out, std::bit_cast<uint64_t>(value));
}
void put_bytes(std::string& out, uint32_t field, std::string_view value) {
  put_tag(out, field, kBytes);
  put_varint(out, value.size());
  out += value;
}

// Fields of Event: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7.
std::string event_head(double wall_time, int64_t step) {
  std::string event;
  put_double(event, 1, wall_time);
  if (step != 0) {
    put_tag(event, 2, kVarint);
    put_varint(event, static_cast<uint64_t>(step));
  }
  return event;
}

std::string record(std::string_view data) {
  std::string out, length;
  put_fixed64(length, data.size());
  out = length;
  put_fixed32(out, masked_crc32c(length));
  out += data;
  put_fixed32(out, masked_crc32c(data));
  return out;
}

// SessionLog { status = 1: START = 1 }: readers drop events of earlier files from this step on.
std::string restart_record(double wall_time, int64_t step) {
  std::string event = event_head(wall_time, step), session;
  put_tag(session, 1, kVarint);
  put_varint(session, 1);
  put_bytes(event, 7, session);
  return record(event);
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 && name[0] ? name : "localhost";
}

}  // namespace

std::string event_record(const TensorBoardEvent& event) {
  std::string summary;  // Summary { value = 1: Value { tag = 1, simple_value = 2 } }
  for (const auto& [tag, value] : event.scalars) {
    std::string entry;
    put_bytes(entry, 1, tag);
    put_tag(entry, 2, kFixed32);
    put_fixed32(entry, std::bit_cast<uint32_t>(value));
    put_bytes(summary, 1, entry);
  }
  std::string data = event_head(event.wall_time, event.step);
  put_bytes(data, 5, summary);
  return record(data);
}

std::string version_record(double wall_time) {
  std::string data = event_head(wall_time, 0);
  put_bytes(data, 3, "brain.Event:2");
  return record(data);
}

TensorBoardFile::TensorBoardFile(const io::Path& folder, double wall_time, int64_t first_step) {
  static std::atomic<int> files{0};  // two files of one process in one second need different names
  io::make_folders(folder);
  file_ = io::File::create(folder / fmt::format("events.out.tfevents.{:010d}.{}.{}.{}", static_cast<int64_t>(wall_time),
                                                host_name(), getpid(), files++));
  file_.write(version_record(wall_time));
  if (first_step > 0) file_.write(restart_record(wall_time, first_step));
}

void TensorBoardFile::add(const TensorBoardEvent& event) { file_.write(event_record(event)); }

}  // namespace longhaul::train
