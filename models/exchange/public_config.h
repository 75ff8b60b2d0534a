// defines: exchange::PublicConfig, exchange::write_labels, exchange::shared_dropout
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "models/model.h"

namespace longhaul::models::exchange {

/// The config.json of a public checkpoint. Keys that equal the public library's default are often left out, so every
/// reading brings that default. A value of another type is refused. All functions throw CheckpointError.
class PublicConfig {
 public:
  explicit PublicConfig(std::string_view text);
  ~PublicConfig();
  PublicConfig(const PublicConfig&) = delete;
  PublicConfig& operator=(const PublicConfig&) = delete;

  int64_t integer(const char* key, int64_t otherwise) const;
  /// A whole number of at least `least` that fits an int.
  int count(const char* key, int otherwise, int least = 1) const;
  double number(const char* key, double otherwise) const;
  bool boolean(const char* key, bool otherwise) const;
  std::string text(const char* key, const std::string& otherwise) const;
  /// The first text of a list of texts; empty where there is none.
  std::string first_text(const char* key) const;
  /// A list of texts.
  std::vector<std::string> texts(const char* key, const std::vector<std::string>& otherwise) const;
  /// A list of whole numbers; one number stands for a list of it alone.
  std::vector<int64_t> integers(const char* key, const std::vector<int64_t>& otherwise) const;
  /// Names of the classes: id2label in order; without it LABEL_0 and LABEL_1.
  std::vector<std::string> labels() const;
  /// Says in the log that a value of training that has no counterpart here, and is not zero, is left out.
  void warn_unless_zero(const char* key) const;

 private:
  struct Content;
  std::unique_ptr<Content> content_;
};

/// Writes id2label and label2id of a head for classes: the names they have, or LABEL_0, LABEL_1, ...
void write_labels(nlohmann::ordered_json& to, const HeadSpec& head);

/// The dropout that a public layout says once, for the body and for its embeddings: the body's. Says in the log when the embeddings have
/// another one, which the folder then does not tell.
double shared_dropout(const BodyOptions& body);

}  // namespace longhaul::models::exchange
