#include "models/model.h"

#include "framework/base/error.h"

namespace longhaul::models {

int64_t LanguageModel::parameter_count() const {
  int64_t count = 0;
  for (const auto& parameter : parameters()) count += parameter.variable.value().elements();
  return count;
}

std::unique_ptr<LanguageModel> make_model(const ModelSpec& spec, uint64_t seed, Device device, DType dtype) {
  const FamilyInfo* family = find_family(spec.family);
  check<ConfigError>(family != nullptr, "[model] there is no family \"{}\" in this build", spec.family);
  check<InternalError>(spec.options != nullptr && spec.vocabulary > 0, "a model specification without options or vocabulary");
  nn::Initializer init(seed, device, dtype);
  return family->build(spec, init);
}

}  // namespace longhaul::models
