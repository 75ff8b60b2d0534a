#include <algorithm>
#include <bit>
#include <charconv>
#include <memory>
#include <set>
#include <span>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/base/sha256.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::checkpoint {
namespace {

using json::Value;

// One safetensors file of a folder whose manifest vouches for it.
class VouchedFile {
 public:
  VouchedFile(const io::Path& folder, const ManifestFile& vouched) : vouched_(vouched), reader_(folder / vouched.name) {
    // With the header every name, shape and place is as it was written; tensors are checked while they are read.
    check<CheckpointError>(
        reader_.header_sha256() == vouched.header_sha256 && reader_.header().entries.size() == vouched.tensors.size(),
        "[checkpoint] {}: the header does not match its hash", reader_.path().string());
    for (const ManifestTensor& tensor : vouched.tensors) expected_.emplace(tensor.name, &tensor);
  }

  const SafetensorsReader& reader() const { return reader_; }

  void read(const std::string& name, const Tensor& into) const {
    const SafetensorsEntry& entry = reader_.entry(name);
    check_hash(name, reader_.read(entry, into, true), into);
  }
  Tensor read(const std::string& name) const {
    const SafetensorsEntry& entry = reader_.entry(name);
    const std::optional<DType> dtype = dtype_of_tag(entry.dtype);
    check<CheckpointError>(dtype && entry.shape.size() <= kMaxRank,
                           "[checkpoint] {}: tensor \"{}\" of {} cannot be held", reader_.path().string(), name,
                           entry.dtype);
    const Tensor out = Tensor::empty(Shape(std::span<const int64_t>(entry.shape)), *dtype, Device::cpu());
    read(name, out);
    return out;
  }

 private:
  void check_hash(const std::string& name, const std::string& hash, const Tensor& into) const {
    if (into.device().is_meta()) return;
    const auto expected = expected_.find(name);
    check<CheckpointError>(expected != expected_.end(), "[checkpoint] {}: the manifest lists no tensor \"{}\"",
                           reader_.path().string(), name);
    const ManifestTensor& vouched = *expected->second;
    check<CheckpointError>(hash == vouched.sha256,
                           "[checkpoint] {}: tensor \"{}\" does not match its hash (bytes {}..{})",
                           reader_.path().string(), name, vouched.begin, vouched.end - 1);
  }

  const ManifestFile& vouched_;
  SafetensorsReader reader_;
  std::map<std::string, const ManifestTensor*> expected_;
};

std::string read_vouched_text(const io::Path& folder, const Manifest& manifest, const std::string& name) {
  const ManifestFile* file = manifest.find(name);
  const io::Path path = folder / name;
  check<CheckpointError>(file != nullptr, "[checkpoint] {}: the manifest lists no {}", folder.string(), name);
  const io::File opened = io::File::open_regular(path);
  check<CheckpointError>(opened.size() == file->size, "[checkpoint] {}: the file has {} bytes, the manifest says {}",
                         path.string(), opened.size(), file->size);
  std::string text(file->size, '\0');
  opened.read(0, std::as_writable_bytes(std::span(text)));
  check<CheckpointError>(sha256_hex(text) == file->sha256, "[checkpoint] {}: the file does not match its hash",
                         path.string());
  return text;
}

// The entries of one part; remembers which were read.
class PartReader final : public StateReader {
 public:
  PartReader(std::string part, const Value& scalars, const VouchedFile* tensors, std::string prefix, std::string where)
      : part_(std::move(part)),
        scalars_(scalars),
        tensors_(tensors),
        prefix_(std::move(prefix)),
        where_(std::move(where)) {}

  int64_t integer(const std::string& name) override { return whole_from(scalar(name), name, "a whole number"); }
  double real(const std::string& name) override { return real_from(scalar(name), name); }
  std::string text(const std::string& name) override {
    const std::string* value = scalar(name).text();
    expect(value != nullptr, name, "text");
    return *value;
  }
  std::vector<int64_t> integers(const std::string& name) override {
    const json::List* list = scalar(name).list();
    expect(list != nullptr, name, "a list of whole numbers");
    std::vector<int64_t> out;
    for (const Value& value : *list) out.push_back(whole_from(value, name, "a list of whole numbers"));
    return out;
  }
  std::vector<double> reals(const std::string& name) override {
    const json::List* list = scalar(name).list();
    expect(list != nullptr, name, "a list of numbers");
    std::vector<double> out;
    for (const Value& value : *list) out.push_back(real_from(value, name));
    return out;
  }
  void tensor(const std::string& name, const Tensor& into) override {
    const SafetensorsEntry& entry = stored(name);
    check<CheckpointError>(entry.dtype == tag_of(into.dtype()), "[checkpoint] {}: tensor \"{}\" is {}, the run has {}",
                           tensors_->reader().path().string(), entry.name, entry.dtype, tag_of(into.dtype()));
    tensors_->read(entry.name, into);
  }
  Tensor tensor(const std::string& name) override { return tensors_->read(stored(name).name); }

  std::vector<std::string> tensor_names() const override {
    std::vector<std::string> names;
    if (tensors_ == nullptr) return names;
    for (const SafetensorsEntry& entry : tensors_->reader().header().entries) {
      if (entry.name.starts_with(prefix_)) names.push_back(entry.name.substr(prefix_.size()));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  void finish() const {
    for (const auto& [name, value] : *scalars_.object()) {
      check<CheckpointError>(read_.contains(name),
                             "[checkpoint] {}: the entry \"{}.{}\" is unknown to this run\n  hint: it was saved by "
                             "another version of Longhaul or with another configuration",
                             where_, part_, name);
    }
    for (const std::string& name : tensor_names()) {
      check<CheckpointError>(read_tensors_.contains(name),
                             "[checkpoint] {}: the tensor \"{}{}\" is unknown to this run\n  hint: it was saved by "
                             "another version of Longhaul or with another configuration",
                             tensors_->reader().path().string(), prefix_, name);
    }
  }

 private:
  const Value& scalar(const std::string& name) {
    const Value* found = scalars_.find(name);
    check<CheckpointError>(found != nullptr,
                           "[checkpoint] {}: there is no entry \"{}.{}\"\n  hint: it was saved by another version of "
                           "Longhaul or with another configuration",
                           where_, part_, name);
    read_.insert(name);
    return *found;
  }
  const SafetensorsEntry& stored(const std::string& name) {
    check<CheckpointError>(tensors_ != nullptr, "[checkpoint] {}: part \"{}\" has no tensors, the run needs \"{}\"",
                           where_, part_, name);
    read_tensors_.insert(name);
    return tensors_->reader().entry(prefix_ + name);
  }
  void expect(bool good, const std::string& name, std::string_view what) const {
    check<CheckpointError>(good, "[checkpoint] {}: the entry \"{}.{}\" is not {}", where_, part_, name, what);
  }
  int64_t whole_from(const Value& value, const std::string& name, std::string_view what) const {
    expect(value.integer() != nullptr, name, what);
    return *value.integer();
  }
  double real_from(const Value& value, const std::string& name) const {
    if (value.real() != nullptr) return *value.real();
    uint64_t bits = 0;
    bool good = value.text() != nullptr && value.text()->starts_with("bits:");
    if (good) {
      const std::string& text = *value.text();
      const auto [end, status] = std::from_chars(text.data() + 5, text.data() + text.size(), bits, 16);
      good = text.size() == 21 && status == std::errc() && end == text.data() + text.size();
    }
    expect(good, name, "a number");
    return std::bit_cast<double>(bits);
  }

  std::string part_;
  const Value& scalars_;
  const VouchedFile* tensors_;  // null: the section has no file
  std::string prefix_;
  std::string where_;  // state.json
  std::set<std::string> read_;
  std::set<std::string> read_tensors_;
};

}  // namespace

Manifest load_checkpoint(const io::Path& folder, const StateRegistry& registry) {
  Manifest manifest = read_manifest(folder);
  const std::string where = (folder / "state.json").string();
  const json::Parsed state = json::parse(read_vouched_text(folder, manifest, "state.json"));
  check<CheckpointError>(state.error.empty(), "[checkpoint] {}: {}", where, state.error);
  const Value* parts = state.value.find("parts");
  check<CheckpointError>(parts != nullptr && parts->object() != nullptr,
                         "[checkpoint] {}: there is no object \"parts\"", where);
  for (const auto& [name, scalars] : *parts->object()) {
    check<CheckpointError>(registry.parts().contains(name) && scalars.object() != nullptr,
                           "[checkpoint] {}: the part \"{}\" is unknown to this run\n  hint: it was saved by another "
                           "version of Longhaul or with another configuration",
                           where, name);
  }
  std::map<Section, std::unique_ptr<VouchedFile>> files;
  for (const Section section : {Section::kModel, Section::kOptimizer, Section::kState}) {
    if (const ManifestFile* file = manifest.find(file_name(section)))
      files[section] = std::make_unique<VouchedFile>(folder, *file);
  }
  for (const auto& [name, part] : registry.parts()) {
    const Value* scalars = parts->find(name);
    check<CheckpointError>(scalars != nullptr,
                           "[checkpoint] {}: there is no part \"{}\"\n  hint: it was saved by another version of "
                           "Longhaul or with another configuration",
                           where, name);
    PartReader reader(name, *scalars, files[part.section].get(), part.section == Section::kState ? name + "." : "",
                      where);
    part.state->load_state(reader);
    reader.finish();
  }
  return manifest;
}

Manifest load_weights(const io::Path& folder, const std::vector<NamedTensor>& into, std::string_view may_differ) {
  const auto free = [&](const std::string& name) { return !may_differ.empty() && name.starts_with(may_differ); };
  Manifest manifest = read_manifest(folder);
  const ManifestFile* listed = manifest.find(file_name(Section::kModel));
  check<CheckpointError>(listed != nullptr, "[checkpoint] {}: the manifest lists no {}", folder.string(),
                         file_name(Section::kModel));
  const VouchedFile file(folder, *listed);
  const std::string path = file.reader().path().string();
  std::set<std::string> wanted;
  std::vector<NamedTensor> there;
  for (const NamedTensor& tensor : into) {
    wanted.insert(tensor.name);
    const SafetensorsEntry* entry = file.reader().find(tensor.name);
    if (free(tensor.name) && (!entry || Shape(std::span<const int64_t>(entry->shape)) != tensor.tensor.shape())) continue;
    there.push_back(tensor);
    check<CheckpointError>(file.reader().find(tensor.name) != nullptr,
                           "[checkpoint] {}: there is no tensor \"{}\", which the model has", path, tensor.name);
  }
  for (const SafetensorsEntry& entry : file.reader().header().entries) {
    check<CheckpointError>(wanted.contains(entry.name) || free(entry.name), "[checkpoint] {}: the tensor \"{}\" is unknown to the model",
                           path, entry.name);
  }
  for (const NamedTensor& tensor : there) file.read(tensor.name, tensor.tensor);
  return manifest;
}

}  // namespace longhaul::checkpoint
