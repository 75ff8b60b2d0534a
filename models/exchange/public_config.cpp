#include "models/exchange/public_config.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/log.h"

namespace longhaul::models::exchange {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const char* key, const Json& value, const char* expected) {
  fail<CheckpointError>("[exchange] config.json: {} = {}: expected {}", key, value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 100), expected);
}

int64_t whole(const char* key, const Json& value) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))) {
    refuse(key, value, "a whole number");
  }
  return value.get<int64_t>();
}

}  // namespace

struct PublicConfig::Content {
  Json json;
  /// The value of a key; null where it is absent or null.
  const Json* find(const char* key) const {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
};

PublicConfig::PublicConfig(std::string_view text) : content_(std::make_unique<Content>()) {
  content_->json = Json::parse(text.begin(), text.end(), nullptr, false);
  check<CheckpointError>(content_->json.is_object(), "[exchange] config.json is not a JSON object");
}

PublicConfig::~PublicConfig() = default;

int64_t PublicConfig::integer(const char* key, int64_t otherwise) const {
  const Json* value = content_->find(key);
  return value ? whole(key, *value) : otherwise;
}

int PublicConfig::count(const char* key, int otherwise, int least) const {
  const int64_t value = integer(key, otherwise);
  check<CheckpointError>(value >= least && value <= std::numeric_limits<int>::max(), "[exchange] config.json: {} = {}: expected {} or more", key, value, least);
  return static_cast<int>(value);
}

double PublicConfig::number(const char* key, double otherwise) const {
  const Json* value = content_->find(key);
  if (!value) return otherwise;
  if (!value->is_number()) refuse(key, *value, "a number");
  return value->get<double>();
}

bool PublicConfig::boolean(const char* key, bool otherwise) const {
  const Json* value = content_->find(key);
  if (!value) return otherwise;
  if (!value->is_boolean()) refuse(key, *value, "true or false");
  return value->get<bool>();
}

std::string PublicConfig::text(const char* key, const std::string& otherwise) const {
  const Json* value = content_->find(key);
  if (!value) return otherwise;
  if (!value->is_string()) refuse(key, *value, "a text");
  return value->get<std::string>();
}

std::string PublicConfig::first_text(const char* key) const {
  const Json* value = content_->find(key);
  if (!value || (value->is_array() && value->empty())) return {};
  if (!value->is_array() || !value->front().is_string()) refuse(key, *value, "a list of texts");
  return value->front().get<std::string>();
}

std::vector<std::string> PublicConfig::texts(const char* key, const std::vector<std::string>& otherwise) const {
  const Json* value = content_->find(key);
  if (!value) return otherwise;
  std::vector<std::string> out;
  for (const Json& item : *value) {
    if (!value->is_array() || !item.is_string()) refuse(key, *value, "a list of texts");
    out.push_back(item.get<std::string>());
  }
  return out;
}

std::vector<int64_t> PublicConfig::integers(const char* key, const std::vector<int64_t>& otherwise) const {
  const Json* value = content_->find(key);
  if (!value) return otherwise;
  if (!value->is_array()) return {whole(key, *value)};
  std::vector<int64_t> out;
  for (const Json& item : *value) out.push_back(whole(key, item));
  return out;
}

std::vector<std::string> PublicConfig::labels() const {
  const Json* value = content_->find("id2label");
  if (!value) return {"LABEL_0", "LABEL_1"};
  std::vector<std::string> out;
  for (size_t id = 0; value->is_object() && id < value->size(); ++id) {
    const auto found = value->find(std::to_string(id));
    if (found == value->end() || !found->is_string()) refuse("id2label", *value, "a text for every id from 0 on");
    out.push_back(found->get<std::string>());
  }
  if (out.size() < 2) refuse("id2label", *value, "two classes or more");
  return out;
}

void PublicConfig::warn_unless_zero(const char* key) const {
  if (const double value = number(key, 0); value != 0) log::warn("[exchange] config.json: {} = {} has no counterpart here: further training goes without it", key, value);
}

void write_labels(nlohmann::ordered_json& to, const HeadSpec& head) {
  for (int64_t k = 0; head.kind == HeadKind::kClasses && k < head.classes; ++k) {
    const auto at = static_cast<size_t>(k);
    const std::string label = at < head.labels.size() ? head.labels[at] : "LABEL_" + std::to_string(k);
    to["id2label"][std::to_string(k)] = label;
    to["label2id"][label] = k;
  }
}

double shared_dropout(const BodyOptions& body) {
  if (body.embedding_dropout != body.dropout) {
    log::warn("[exchange] model.embedding_dropout = {} is left out: the public layout has one dropout, which is written as model.dropout = {}", body.embedding_dropout, body.dropout);
  }
  return body.dropout;
}

}  // namespace longhaul::models::exchange
