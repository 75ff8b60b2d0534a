#include <nlohmann/json.hpp>

#include "train/config/catalogue.h"
#include "train/config/schema.h"

namespace longhaul::config {
namespace {

using Json = nlohmann::ordered_json;

// A list may be given by a single value.
Json one_or_list(const Json& item) {
  return {{"anyOf", Json::array({item, Json{{"type", "array"}, {"items", item}}})}};
}

// A value with ${NAME} is a text whatever its key is.
Json with_variables(Json plain) {
  Json variable = {{"type", "string"}, {"pattern", "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}"}};
  return {{"anyOf", Json::array({std::move(plain), std::move(variable)})}};
}

Json scalar(const Field& field) {
  Json type;
  switch (field.kind) {
    case FieldKind::kBoolean:
      type = {{"type", "boolean"}};
      break;
    case FieldKind::kInteger:
      type = {{"type", "integer"}};
      break;
    case FieldKind::kNumber:
      type = {{"type", "number"}};
      break;
    case FieldKind::kText:
      return {{"type", Json::array({"string", "number", "boolean", "null"})}};
    case FieldKind::kChoice:
      type = {{"enum", field.choices}};
      break;
    case FieldKind::kPercentRange:
      return {{"type", "string"}};
    case FieldKind::kBytes:
    case FieldKind::kCount:
    case FieldKind::kDuration:
    case FieldKind::kPeriod:
      return {{"type", Json::array({"string", "integer"})}};
  }
  if (field.min) type[field.above_min ? "exclusiveMinimum" : "minimum"] = *field.min;
  if (field.max) type[field.below_max ? "exclusiveMaximum" : "maximum"] = *field.max;
  if (!field.automatic.empty()) {
    type = {{"anyOf", Json::array({type, Json{{"const", field.automatic}}})}};
  }
  return with_variables(std::move(type));
}

class SchemaWriter final : public FieldVisitor {
 public:
  Json properties = Json::object();

  static Json object(const std::function<void(FieldVisitor&)>& body) {
    SchemaWriter inner;
    body(inner);
    return {{"type", Json::array({"object", "null"})},
            {"properties", std::move(inner.properties)},
            {"additionalProperties", false}};
  }

 private:
  void add(std::string_view name, Json type, std::string_view help) {
    type["description"] = std::string(help);
    properties[std::string(name)] = std::move(type);
  }
  void on_field(const Field& field) override {
    Json type = scalar(field);
    if (field.default_text.empty() && !field.get().empty()) type["default"] = field.get();
    add(field.name, std::move(type), field.help);
  }
  void on_list(const ListField& field) override {
    // The element must exist while its field is asked for its range.
    add(field.item.name, one_or_list(scalar(field.item)), field.item.help);
  }
  void on_section(std::string_view name, const SectionTraits& traits, std::string_view help,
                  const std::function<void(FieldVisitor&)>& body) override {
    if (!traits.same_as.empty()) return add(name, {{"type", "object"}}, help);
    add(name, object(body), help);
  }
  void on_records(const RecordsField& field) override {
    Json item = object([&](FieldVisitor& in) { field.describe(in); });
    item["type"] = "object";
    if (!field.traits.shorthand.empty()) item = {{"anyOf", Json::array({Json{{"type", "string"}}, item})}};
    add(field.name, one_or_list(item), field.help);
  }
};

Json sections(const std::string& family) {
  Config config;
  config.model.family = family;
  SchemaWriter writer;
  fields(writer, config);
  return std::move(writer.properties);
}

}  // namespace

std::string json_schema() {
  Json properties = sections(Config{}.model.family);
  // The keys of the model follow from its family.
  Json rules = Json::array();
  for (const models::FamilyInfo& family : models::families()) {
    Json keys = sections(family.name)["model"];
    Json condition = {{"properties", {{"family", {{"const", family.name}}}}}};
    if (family.name != Config{}.model.family) condition["required"] = Json::array({"family"});
    rules.push_back({{"if", std::move(condition)}, {"then", std::move(keys)}});
  }
  properties["model"] = {{"type", Json::array({"object", "null"})}, {"allOf", std::move(rules)}};
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Longhaul configuration"},
                 {"type", "object"}};
  Json all = {
      {"extends",
       {{"anyOf", Json::array({Json{{"type", "string"}}, Json{{"type", "array"}, {"items", {{"type", "string"}}}}})},
        {"description", "path or list of paths of configurations this one changes, relative to it"}}}};
  for (auto& [name, value] : properties.items()) all[name] = std::move(value);
  schema["properties"] = std::move(all);
  schema["additionalProperties"] = false;
  return schema.dump(2);
}

}  // namespace longhaul::config
