#include "train/parity/runner.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/checkpoint/safetensors.h"

namespace longhaul::train {
namespace {

bool is_case(const io::Path& folder) {
  return io::info_followed(folder / "case.safetensors").kind == io::Kind::kFile &&
         io::info_followed(folder / "meta.json").kind == io::Kind::kFile;
}

void walk(const io::Path& folder, const std::string& name, std::vector<FoundCase>& into) {
  if (is_case(folder)) into.push_back({name, folder});
  for (const std::string& entry : io::list(folder)) {
    if (io::info(folder / entry).kind != io::Kind::kFolder) continue;  // links are not followed: they may form rings
    walk(folder / entry, name.empty() ? entry : name + "/" + entry, into);
  }
}

void write_computed(const io::Path& folder, const TensorMap& computed) {
  std::vector<checkpoint::NamedTensor> tensors;
  for (const auto& [name, tensor] : computed) tensors.push_back({name, tensor});
  io::make_folders(folder);
  io::remove_all(folder / "computed.safetensors");
  checkpoint::write_safetensors(folder / "computed.safetensors", tensors, {});
}

void run_loaded(const FoundCase& found, Device device, const FindLoader& find, const io::Path& write,
                ParityResult& result) {
  models::ReferenceCase reference;
  reference.name = found.name;
  reference.folder = found.folder.string();
  reference.meta = io::read_file(found.folder / "meta.json", 1 << 24);
  const auto meta = nlohmann::json::parse(reference.meta, nullptr, false);
  check<DataError>(meta.is_object(), "[parity] {}: meta.json is not a JSON object", found.name);
  result.system = meta.value("system", meta.value("family", std::string()));
  result.optional = meta.value("optional", false);
  const models::ReferenceLoader* loader = find(result.system);
  if (!loader) {
    throw models::UnsupportedCase(fmt::format("no family of this build has the system \"{}\"", result.system));
  }
  const checkpoint::SafetensorsReader reader(found.folder / "case.safetensors");
  for (const auto& entry : reader.header().entries) reference.tensors[entry.name] = reader.read(entry);
  // Only the plain loops compute in f64, and only what is stored in f64 gains from it.
  const bool f64 = device.kind == DeviceKind::kReference && meta.value("kind", std::string()) == "definition";
  reference.device = device;
  reference.dtype = f64 ? DType::kF64 : DType::kF32;
  const TensorMap computed = loader->run(reference);
  if (!write.empty()) write_computed(write / found.name, computed);
  result.comparison = compare_case(reference.tensors, computed, reference.meta, f64);
  result.status = result.comparison.passed ? ParityStatus::kPass : ParityStatus::kFail;
  result.reason = result.comparison.reason;
}

}  // namespace

const char* name_of(ParityStatus status) {
  switch (status) {
    case ParityStatus::kPass:
      return "PASS";
    case ParityStatus::kFail:
      return "FAIL";
    case ParityStatus::kUnsupported:
      break;
  }
  return "UNSUPPORTED";
}

std::vector<FoundCase> find_cases(const io::Path& folder) {
  check<ConfigError>(io::info_followed(folder).kind == io::Kind::kFolder, "[parity] {} is not a folder",
                     folder.string());
  std::vector<FoundCase> found;
  walk(folder, "", found);
  for (FoundCase& entry : found) {
    if (entry.name.empty()) entry.name = std::filesystem::absolute(folder / ".").parent_path().filename().string();
  }
  std::sort(found.begin(), found.end(), [](const FoundCase& a, const FoundCase& b) { return a.name < b.name; });
  return found;
}

ParityResult run_case(const FoundCase& found, Device device, const FindLoader& find, const io::Path& write) {
  ParityResult result;
  result.name = found.name;
  try {
    run_loaded(found, device, find, write, result);
  } catch (const models::UnsupportedCase& unsupported) {
    result.status = ParityStatus::kUnsupported;
    result.reason = unsupported.what();
  } catch (const std::exception& error) {
    result.status = ParityStatus::kFail;
    result.reason = error.what();
  }
  return result;
}

std::string line_of(const ParityResult& result) {
  std::string line = fmt::format("{:<44} ", result.name);
  if (result.status == ParityStatus::kUnsupported) {
    line += fmt::format("{:<45}", "");
  } else {
    const Comparison& c = result.comparison;
    line += fmt::format("out {:<7.1e} ({:.1e})  grad {:<7.1e} ({:.1e})  ", c.out_error, c.out_tolerance, c.grad_error,
                        c.grad_tolerance);
  }
  line += name_of(result.status);
  if (result.optional) line += " optional";
  if (!result.reason.empty()) line += ": " + result.reason.substr(0, result.reason.find('\n'));
  return line;
}

}  // namespace longhaul::train
