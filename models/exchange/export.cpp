#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/elements.h"
#include "models/exchange/exchange.h"
#include "models/exchange/folder.h"

namespace longhaul::models::exchange {
namespace {

using checkpoint::SafetensorsEntry;
using checkpoint::SafetensorsItem;
using checkpoint::SafetensorsReader;

const Family& family_named(const std::string& name, const std::vector<Family>& families) {
  const auto found =
      std::find_if(families.begin(), families.end(), [&](const Family& family) { return family.name == name; });
  check<CheckpointError>(found != families.end(),
                         "[exchange] the family \"{}\" has no public checkpoint layout in this build", name);
  return *found;
}

// One public tensor put together from ours, in the dtype of `entry`.
SafetensorsItem assembled(const SafetensorsEntry& entry, const NameMap& map, const SafetensorsReader& ours) {
  const std::optional<DType> dtype = checkpoint::dtype_of_tag(entry.dtype);
  check<CheckpointError>(dtype && entry.shape.size() <= kMaxRank,
                         "[exchange] the public tensor \"{}\" of {} cannot be made", entry.name, entry.dtype);
  const Tensor out = Tensor::zeros(Shape(std::span<const int64_t>(entry.shape)), *dtype, Device::cpu());
  for (const NameRule& rule : map.rules) {
    if (rule.public_name != entry.name) continue;
    const SafetensorsEntry& stored = ours.entry(rule.our_name);
    const Tensor target = public_side(rule, out);
    if (rule.our_part.whole()) {
      ours.read(stored, target, false);
      continue;
    }
    const Tensor whole = our_side(rule, ours.read(stored));
    int64_t at = 0;
    std::vector<std::byte> converted;
    checkpoint::visit_bytes(whole.view(), [&](std::span<const std::byte> piece) {
      const auto count = static_cast<int64_t>(piece.size() / size_of(whole.dtype()));
      converted.resize(static_cast<size_t>(count) * size_of(*dtype));
      checkpoint::convert_elements(whole.dtype(), piece.data(), *dtype, converted.data(), count);
      checkpoint::scatter_elements(target.view(), at, count, converted.data());
      at += count;
    });
  }
  return {.name = entry.name, .tensor = out, .raw = {}, .raw_bytes = {}};
}

// `text`, the config.json of the model `before`, with the keys that say something else of `now`. Returns whether the model's
// class is still the same.
bool change_config(std::string& text, const Family& family, const ModelSpec& before, const ModelSpec& now) {
  const auto old_keys = nlohmann::json::parse(family.to_json(before));
  const auto new_keys = nlohmann::ordered_json::parse(family.to_json(now));
  auto config = nlohmann::ordered_json::parse(text);
  for (const auto& [key, value] : new_keys.items()) {
    if (!old_keys.contains(key) || old_keys[key] != nlohmann::json(value)) config[key] = value;
  }
  for (const auto& [key, value] : old_keys.items()) {
    if (!new_keys.contains(key) && !key.ends_with("_token_id")) config.erase(key);  // ids are the tokenizer's, which stays
  }
  text = config.dump(2) + "\n";
  return old_keys.value("architectures", nlohmann::json()) == nlohmann::json(new_keys.value("architectures", nlohmann::ordered_json()));
}

std::string with_ids(const std::string& text, const std::map<std::string, int64_t>& ids) {
  auto config = nlohmann::ordered_json::parse(text);
  for (const auto& [key, id] : ids) {
    if (!config.contains(key)) config[key] = id;
  }
  return config.dump(2) + "\n";
}

// A tensor that the public layout has no name for would be lost.
void check_all_are_named(const NameMap& map, const SafetensorsReader& ours, const Family& family) {
  std::set<std::string> named;
  for (const NameRule& rule : map.rules) named.insert(rule.our_name);
  for (const SafetensorsEntry& entry : ours.header().entries) {
    check<CheckpointError>(named.contains(entry.name), "[exchange] {}: the tensor \"{}\" has no place in the public layout of \"{}\"",
                           ours.path().string(), entry.name, family.name);
  }
}

// The files of a model that was trained here: one, with every tensor once, in the dtype it has.
std::vector<PublicFile> fresh_files(const NameMap& map, const SafetensorsReader& ours) {
  PublicFile file{.name = "model.safetensors", .metadata = {{"format", "pt"}}, .tensors = {}};
  std::map<std::string, SafetensorsEntry> made;
  for (const NameRule& rule : map.rules) {
    const SafetensorsEntry& stored = ours.entry(rule.our_name);
    std::vector<int64_t> shape = stored.shape;
    if (!rule.our_part.whole()) shape.at(static_cast<size_t>(rule.our_part.axis)) = rule.our_part.size;
    if (rule.transpose && shape.size() >= 2) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
    if (rule.public_shape.rank() > 0) shape.assign(rule.public_shape.sizes().begin(), rule.public_shape.sizes().end());
    auto [found, fresh] = made.try_emplace(
        rule.public_name, SafetensorsEntry{.name = rule.public_name, .dtype = stored.dtype, .shape = shape});
    if (rule.public_part.whole()) continue;
    int64_t& rows = found->second.shape.at(static_cast<size_t>(rule.public_part.axis));
    const int64_t end = rule.public_part.begin + rule.public_part.size;
    rows = fresh ? end : std::max(rows, end);
  }
  for (auto& [name, entry] : made) file.tensors.push_back(std::move(entry));
  return {std::move(file)};
}

// Whether the public files have a place for every tensor of the model, in its shape. One that a folder may lack while it is
// zero needs none as long as it is.
bool have_place(const std::vector<PublicFile>& files, const NameMap& map, const SafetensorsReader& ours) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const PublicFile& file : files) {
    for (const SafetensorsEntry& entry : file.tensors) shapes[entry.name] = entry.shape;
  }
  std::set<std::string> unused;
  for (const NameRule& rule : map.rules) {
    if (map.zeros.contains(rule.our_name) && ours.read_bytes(ours.entry(rule.our_name)).find_first_not_of('\0') == std::string::npos) unused.insert(rule.public_name);
  }
  for (const PublicFile& file : fresh_files(map, ours)) {
    for (const SafetensorsEntry& entry : file.tensors) {
      const auto found = shapes.find(entry.name);
      if (found == shapes.end() ? !unused.contains(entry.name) : found->second != entry.shape) return false;
    }
  }
  return true;
}

}  // namespace

void export_model(const io::Path& model, const io::Path& out, const std::optional<ModelSpec>& trained,
                  const std::vector<Family>& families, const std::map<std::string, int64_t>& ids) {
  const std::vector<checkpoint::Damage> damage = checkpoint::verify(model);
  if (!damage.empty()) throw CheckpointError(damage.front().message);
  const SafetensorsReader ours(model / checkpoint::file_name(checkpoint::Section::kModel));
  const bool imported = io::exists(model / kPublicJson);
  PublicFolder folder;
  if (imported) folder = PublicFolder::parse(io::read_file(model / kPublicJson), (model / kPublicJson).string());
  check<CheckpointError>(imported || trained, "[exchange] {} was not imported", model.string());
  const Family& family = family_named(imported ? folder.family : trained->family, families);
  if (!imported) {
    check<CheckpointError>(family.to_json != nullptr,
                           "[exchange] {} was not imported, and the family \"{}\" has no public layout for new models",
                           model.string(), family.name);
    folder.config = with_ids(family.to_json(*trained), ids);
    folder.others = other_files(model);
  }
  std::set<std::string> named;
  for (const PublicFile& file : folder.files) {
    for (const SafetensorsEntry& entry : file.tensors) named.insert(entry.name);
  }
  if (imported && trained) {
    check<CheckpointError>(trained->family == family.name, "[exchange] {}: the family \"{}\" of its configuration is not \"{}\", which was imported",
                           model.string(), trained->family, family.name);
    const FamilyReading before = family.reading_of(folder.config, named);
    if (before.spec && !change_config(folder.config, family, *before.spec, *trained)) named.clear();
  }
  const NameMap map = family.reading_of(folder.config, named).names;
  check_all_are_named(map, ours, family);
  if (trained && !have_place(folder.files, map, ours)) {
    folder.files = fresh_files(map, ours);
    std::erase(folder.others, kWeightsIndex);
  }

  std::map<std::string, std::string> stored_as;
  for (const TiedName& tied : map.tied) stored_as[tied.alias] = tied.stored;
  std::set<std::string> mapped;
  for (const NameRule& rule : map.rules) mapped.insert(rule.public_name);
  const std::set<std::string> buffers(map.buffers.begin(), map.buffers.end());

  FreshFolder fresh(out);
  for (const PublicFile& file : folder.files) {
    std::vector<SafetensorsItem> items;
    for (const SafetensorsEntry& entry : file.tensors) {
      if (mapped.contains(entry.name)) {
        items.push_back(assembled(entry, map, ours));
      } else if (buffers.contains(entry.name)) {
        const SafetensorsReader kept(model / kPublicBuffers);
        items.push_back(
            {.name = entry.name, .tensor = {}, .raw = entry, .raw_bytes = kept.read_bytes(kept.entry(entry.name))});
      } else {
        const auto tied = stored_as.find(entry.name);
        check<CheckpointError>(tied != stored_as.end(),
                               "[exchange] {}: the tensor \"{}\" has no place in the family \"{}\"",
                               (model / kPublicJson).string(), entry.name, family.name);
        SafetensorsEntry source = entry;
        source.name = tied->second;
        items.push_back(assembled(source, map, ours));
        items.back().name = entry.name;
      }
    }
    checkpoint::write_safetensors(fresh.path() / file.name, items, file.metadata);
  }
  io::write_new_file(fresh.path() / kConfigJson, folder.config);
  for (const std::string& name : folder.others) io::write_new_file(fresh.path() / name, io::read_file(model / name));
  fresh.commit();
}

}  // namespace longhaul::models::exchange
