#include "train/commands/parity.h"

#include <map>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "train/commands/device.h"
#include "train/parity/runner.h"

namespace longhaul::cli {
namespace {

nlohmann::ordered_json json_of(const train::ParityResult& result) {
  nlohmann::ordered_json json;
  json["name"] = result.name;
  json["system"] = result.system;
  json["status"] = train::name_of(result.status);
  json["optional"] = result.optional;
  if (result.status != train::ParityStatus::kUnsupported) {
    json["out_error"] = result.comparison.out_error;
    json["out_tolerance"] = result.comparison.out_tolerance;
    json["grad_error"] = result.comparison.grad_error;
    json["grad_tolerance"] = result.comparison.grad_tolerance;
  }
  if (!result.reason.empty()) json["reason"] = result.reason;
  return json;
}

// All cases of all folders. Two cases of one name would overwrite each other's computed.safetensors.
std::vector<train::FoundCase> all_cases(const std::vector<std::string>& folders) {
  std::vector<train::FoundCase> all;
  std::map<std::string, io::Path> seen;
  for (const std::string& folder : folders) {
    const auto found = train::find_cases(folder);
    check<ConfigError>(!found.empty(),
                       "[parity] no reference case at or below {}\n"
                       "  hint: a case is a folder with case.safetensors and meta.json",
                       folder);
    for (train::FoundCase entry : found) {
      if (seen.contains(entry.name)) {
        if (seen[entry.name] == entry.folder) continue;
        entry.name = std::filesystem::absolute(entry.folder).parent_path().filename().string() + "/" + entry.name;
      }
      seen[entry.name] = entry.folder;
      all.push_back(std::move(entry));
    }
  }
  return all;
}

}  // namespace

int run_parity(const ParityOptions& options, Console& console) {
  const Device device = prepare_device({.device = options.device, .threads = options.threads});
  int counts[3] = {};
  bool good = true;
  nlohmann::ordered_json cases = nlohmann::ordered_json::array();
  for (const train::FoundCase& found : all_cases(options.folders)) {
    const train::ParityResult result = train::run_case(found, device, models::find_reference_loader, options.write);
    ++counts[static_cast<int>(result.status)];
    good = good && (result.status == train::ParityStatus::kPass || result.optional);
    if (options.json) {
      cases.push_back(json_of(result));
    } else {
      console.result(train::line_of(result));
    }
  }
  if (options.json) {
    nlohmann::ordered_json json;
    json["device"] = name_of(device);
    json["passed"] = counts[0];
    json["failed"] = counts[1];
    json["unsupported"] = counts[2];
    json["cases"] = std::move(cases);
    console.result(json.dump());
  } else {
    console.result(fmt::format("{} passed, {} failed, {} unsupported", counts[0], counts[1], counts[2]));
  }
  return good ? 0 : 1;
}

}  // namespace longhaul::cli
