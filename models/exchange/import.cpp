#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/error.h"
#include "framework/base/log.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/elements.h"
#include "framework/checkpoint/manifest.h"
#include "models/exchange/exchange.h"
#include "models/exchange/folder.h"
#include "models/exchange/model_yaml.h"

namespace longhaul::models::exchange {
namespace {

using checkpoint::SafetensorsEntry;
using checkpoint::SafetensorsReader;

constexpr uint64_t kMostConfigBytes = uint64_t{16} << 20;

const Family& family_for(const std::string& config, const io::Path& path, const std::vector<Family>& families) {
  const auto json = nlohmann::json::parse(config, nullptr, false);
  check<CheckpointError>(json.is_object() && json.contains("model_type") && json["model_type"].is_string(),
                         "[exchange] {}: it is not a JSON object with a \"model_type\"", path.string());
  const std::string type = json["model_type"].get<std::string>();
  std::string known;
  for (const Family& family : families) {
    for (const std::string& one : family.model_types) {
      if (one == type) return family;
      known += (known.empty() ? "" : ", ") + one;
    }
  }
  fail<CheckpointError>(
      "[exchange] {}: no family of this build reads the model_type \"{}\"\n  hint: these are read: {}", path.string(),
      type, known.empty() ? "none" : known);
}

// The public tensors of all files by name.
class Source {
 public:
  Source(const io::Path& folder, const std::vector<std::string>& names) {
    for (const std::string& name : names) files_.emplace_back(folder / name);
    for (const SafetensorsReader& file : files_) {
      for (const SafetensorsEntry& entry : file.header().entries) {
        check<CheckpointError>(by_name_.emplace(entry.name, Place{&file, &entry}).second,
                               "[exchange] {}: the tensor \"{}\" is in another file too", file.path().string(),
                               entry.name);
      }
    }
  }
  bool has(const std::string& name) const { return by_name_.contains(name); }
  const SafetensorsEntry& entry(const std::string& name) const { return *by_name_.at(name).entry; }
  Tensor read(const std::string& name) const { return by_name_.at(name).file->read(entry(name)); }
  std::string bytes(const std::string& name) const { return by_name_.at(name).file->read_bytes(entry(name)); }
  const std::vector<SafetensorsReader>& files() const { return files_; }
  std::set<std::string> names() const {
    std::set<std::string> out;
    for (const auto& [name, place] : by_name_) out.insert(name);
    return out;
  }

 private:
  struct Place {
    const SafetensorsReader* file;
    const SafetensorsEntry* entry;
  };
  std::vector<SafetensorsReader> files_;
  std::map<std::string, Place> by_name_;
};

void copy_into(const Tensor& to, const Tensor& from) {
  int64_t at = 0;
  const View view = to.view();
  checkpoint::visit_bytes(from.view(), [&](std::span<const std::byte> piece) {
    const auto count = static_cast<int64_t>(piece.size() / size_of(view.dtype));
    checkpoint::scatter_elements(view, at, count, piece.data());
    at += count;
  });
}

/// A public folder as a name map sees it.
struct Contents {
  std::vector<checkpoint::NamedTensor> tensors;        // ours
  std::vector<checkpoint::SafetensorsItem> buffers;    // public ones
};

// Public names that are no tensors of ours: second copies of tied ones, and buffers.
std::set<std::string> set_aside(const Source& source, const NameMap& map, const std::string& where, Contents& out) {
  std::set<std::string> aside;
  for (const TiedName& tied : map.tied) {
    if (!source.has(tied.alias) || !source.has(tied.stored)) continue;
    const SafetensorsEntry& a = source.entry(tied.alias);
    const SafetensorsEntry& b = source.entry(tied.stored);
    check<CheckpointError>(
        a.dtype == b.dtype && a.shape == b.shape && source.bytes(tied.alias) == source.bytes(tied.stored),
        "[exchange] {}: \"{}\" and \"{}\" are one tensor in this family but differ in the file", where, tied.alias,
        tied.stored);
    aside.insert(tied.alias);
  }
  for (const std::string& name : map.buffers) {
    if (!source.has(name)) continue;
    aside.insert(name);
    out.buffers.push_back({.name = name, .tensor = {}, .raw = source.entry(name), .raw_bytes = source.bytes(name)});
  }
  return aside;
}

Contents read_contents(const Source& source, const NameMap& map, const std::string& where) {
  Contents out;
  const std::set<std::string> aside = set_aside(source, map, where, out);
  std::map<std::string, Shape> shapes;
  for (const SafetensorsReader& file : source.files()) {
    for (const SafetensorsEntry& entry : file.header().entries) {
      if (aside.contains(entry.name)) continue;
      check<CheckpointError>(entry.shape.size() <= kMaxRank,
                             "[exchange] {}: tensor \"{}\" has {} dimensions, at most {} are supported", where,
                             entry.name, entry.shape.size(), kMaxRank);
      shapes.emplace(entry.name, Shape(std::span<const int64_t>(entry.shape)));
    }
  }
  NameMap present = map;
  std::set<std::string> absent;
  std::erase_if(present.rules, [&](const NameRule& rule) {
    const bool missing = map.zeros.contains(rule.our_name) && !source.has(rule.public_name);
    if (missing) absent.insert(rule.our_name);
    return missing;
  });
  std::map<std::string, Tensor> made;
  const std::map<std::string, Shape> ours = our_shapes(present, shapes, where);
  std::vector<NameRule>& rules = present.rules;
  // Rules of one public tensor together, so that it is read once.
  std::stable_sort(rules.begin(), rules.end(),
                   [](const NameRule& a, const NameRule& b) { return a.public_name < b.public_name; });
  Tensor current;
  std::string current_name;
  for (const NameRule& rule : rules) {
    if (!current.defined() || current_name != rule.public_name) current = source.read(rule.public_name);
    current_name = rule.public_name;
    Tensor& target = made[rule.our_name];
    if (!target.defined()) target = Tensor::zeros(ours.at(rule.our_name), current.dtype(), Device::cpu());
    check<CheckpointError>(target.dtype() == current.dtype(),
                           "[exchange] {}: the tensors that become \"{}\" are {} and {}", where, rule.our_name,
                           target.dtype(), current.dtype());
    copy_into(our_side(rule, target), public_side(rule, current));
  }
  for (const std::string& name : absent) made[name] = Tensor::zeros(map.zeros.at(name), current.dtype(), Device::cpu());
  for (auto& [name, tensor] : made) out.tensors.push_back({name, std::move(tensor)});
  return out;
}

/// Refuses tensors of other shapes than the model has that config.json describes.
void check_shapes(const FamilyReading& reading, const std::vector<checkpoint::NamedTensor>& tensors, const std::string& where) {
  if (!reading.spec) return;
  std::map<std::string, Shape> expected;
  for (const auto& parameter : make_any_model(*reading.spec, 0, Device::meta())->parameters()) expected.emplace(parameter.name, parameter.variable.shape());
  for (const auto& [name, tensor] : tensors) {
    const auto found = expected.find(name);
    if (found == expected.end() || found->second == tensor.shape()) continue;
    const auto rule = std::ranges::find_if(reading.names.rules, [&](const NameRule& one) { return one.our_name == name; });
    fail<CheckpointError>("[exchange] {}: the tensor \"{}\" makes \"{}\" of shape {}, config.json describes a model that has {}\n"
                          "  hint: config.json and the weights are of different models",
                          where, rule->public_name, name, tensor.shape(), found->second);
  }
}

/// Repeats the rows of a position table behind `reserved` ones up to `positions`.
Tensor longer_table(const Tensor& table, int64_t reserved, int64_t positions) {
  const int64_t own = table.size(0) - reserved, width = table.size(1);
  const Tensor out = Tensor::zeros({reserved + positions, width}, table.dtype(), Device::cpu());
  const size_t row_bytes = static_cast<size_t>(width) * size_of(table.dtype());
  const auto* from = static_cast<const std::byte*>(table.raw());
  auto* to = static_cast<std::byte*>(out.raw());
  for (int64_t row = 0; row < reserved + positions; ++row) {
    const int64_t source = row < reserved ? row : reserved + (row - reserved) % own;
    std::copy_n(from + static_cast<size_t>(source) * row_bytes, row_bytes, to + static_cast<size_t>(row) * row_bytes);
  }
  return out;
}

/// Makes the position table of a folder longer: the tensor, its public shape, and the configuration.
void lengthen(const FamilyReading& reading, int64_t positions, const std::string& where, std::vector<checkpoint::NamedTensor>& tensors, PublicFolder& folder) {
  check<CheckpointError>(reading.positions.has_value(), "[exchange] {}: the family \"{}\" has no table of positions that can be made longer", where, folder.family);
  const LongerPositions& place = *reading.positions;
  if (!place.changes.empty()) log::warn("[exchange] --positions {}: {}", positions, place.changes);
  const auto table = std::find_if(tensors.begin(), tensors.end(), [&](const auto& one) { return one.name == place.our_name; });
  check<CheckpointError>(table != tensors.end() && table->tensor.size(0) > place.reserved, "[exchange] {}: there is no table of positions", where);
  const int64_t own = table->tensor.size(0) - place.reserved;
  check<CheckpointError>(positions >= own, "[exchange] {}: {} positions are asked for, its table has {} already", where, positions, own);
  table->tensor = longer_table(table->tensor, place.reserved, positions);
  for (const NameRule& rule : reading.names.rules) {
    if (rule.our_name != place.our_name) continue;
    for (PublicFile& file : folder.files) {
      for (SafetensorsEntry& entry : file.tensors) {
        if (entry.name == rule.public_name) entry.shape.at(0) = place.reserved + positions;
      }
    }
  }
  auto json = nlohmann::ordered_json::parse(folder.config);
  json[place.key] = place.reserved + positions;
  folder.config = json.dump(2) + "\n";
}

}  // namespace

std::set<std::string> tensor_names(const io::Path& folder) { return Source(folder, weight_files(folder)).names(); }

std::vector<checkpoint::NamedTensor> read_public(const io::Path& folder, const NameMap& map) {
  return read_contents(Source(folder, weight_files(folder)), map, folder.string()).tensors;
}

ImportReport import_model(const io::Path& source_folder, const io::Path& out, const std::vector<Family>& families, int64_t positions) {
  const io::Path config_path = source_folder / kConfigJson;
  check<CheckpointError>(
      io::exists(config_path),
      "[exchange] {} does not exist\n  hint: a public folder holds config.json and model.safetensors",
      config_path.string());
  PublicFolder folder{.family = {},
                      .config = io::read_file(config_path, kMostConfigBytes),
                      .files = {},
                      .others = other_files(source_folder)};
  const Family& family = family_for(folder.config, config_path, families);
  folder.family = family.name;
  const std::vector<std::string> weights = weight_files(source_folder);
  const Source source(source_folder, weights);
  const std::string where = source_folder.string();

  FamilyReading reading = family.reading_of(folder.config, source.names());
  auto [tensors, buffers] = read_contents(source, reading.names, where);
  check_shapes(reading, tensors, where);
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto& header = source.files()[i].header();
    folder.files.push_back({weights[i], header.metadata, header.entries});
  }

  if (positions > 0) {
    lengthen(reading, positions, where, tensors, folder);
    reading = family.reading_of(folder.config, source.names());
  }

  ImportReport report{.family = family.name,
                      .tensors = static_cast<int64_t>(tensors.size()),
                      .parameters = 0,
                      .buffers = static_cast<int64_t>(buffers.size())};
  for (const auto& tensor : tensors) report.parameters += tensor.tensor.elements();
  FreshFolder fresh(out);
  checkpoint::Manifest manifest;
  manifest.files.push_back(checkpoint::write_safetensors(
      fresh.path() / checkpoint::file_name(checkpoint::Section::kModel), tensors, {{"format", "longhaul"}}));
  if (!buffers.empty())
    manifest.files.push_back(
        checkpoint::write_safetensors(fresh.path() / kPublicBuffers, buffers, {{"format", "longhaul"}}));
  std::map<std::string, std::string> texts = {{kConfigYaml, with_tokenizer(reading.yaml, folder.others)},
                                              {kPublicJson, folder.text()}};
  for (const std::string& name : folder.others) texts[name] = io::read_file(source_folder / name);
  for (const auto& [name, text] : texts) {
    io::write_new_file(fresh.path() / name, text);
    manifest.files.push_back(
        {.name = name, .size = text.size(), .sha256 = sha256_hex(text), .header_sha256 = {}, .tensors = {}});
  }
  manifest.config_hash = sha256_hex(texts.at(kConfigYaml));
  std::sort(manifest.files.begin(), manifest.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  io::write_new_file(fresh.path() / checkpoint::kManifestName, manifest.text());
  fresh.commit();
  return report;
}

}  // namespace longhaul::models::exchange
