// defines: OpenedModel, open_model, open_tokenizer
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/objectives/objective.h"
#include "framework/base/io.h"
#include "models/model.h"
#include "train/config/config.h"

namespace longhaul::cli {

/// A trained model, ready to run.
struct OpenedModel {
  io::Path folder;  // the checkpoint or model folder it came from
  int64_t step = 0;
  config::Config config;
  std::shared_ptr<const data::Objective> objective;  // with the model's tokenizer
  std::unique_ptr<models::Model> model;
  DType compute = DType::kF32;  // as it was trained; f32 on the reference device
  int64_t sequence_length = 0;  // of the stage it was saved in
};

/// Opens a MODEL: a run folder, a checkpoint or a model folder. throws CheckpointError when it is none, is damaged or
/// does not fit its own configuration; ConfigError for `set`, which overrides keys of that (model.eval_rounds=8); DataError for
/// its tokenizer
OpenedModel open_model(const std::string& model, Device device, const std::vector<std::string>& set = {});

/// A tokenizer's own file or folder, or a MODEL that carries one. throws DataError
std::shared_ptr<const data::Tokenizer> open_tokenizer(const std::string& path);

}  // namespace longhaul::cli
