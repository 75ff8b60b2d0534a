// defines: encoder_spec, encoder_inputs, expect_model_gradients
#pragma once
#include <functional>
#include <string>

#include "models/model.h"

namespace longhaul::testing {

/// A small encoder (or decoder) of a family, for sequences of up to `length` tokens; `change` edits its options before they
/// are resolved.
models::ModelSpec encoder_spec(const std::string& family, int64_t length, const std::function<void(models::FamilyOptions&)>& change, models::Form form = models::Form::kEncoder);

/// Two rows of `length` tokens, the second one with padding at its end.
models::ModelInputs encoder_inputs(int64_t length, Device device);

/// Finite differences of some elements of every parameter, in f64 on the reference device.
void expect_model_gradients(const models::ModelSpec& spec, int64_t length);

/// What check() of the family of `spec` complains about, "key: what", joined by newlines.
std::string complaints(const models::ModelSpec& spec, const models::ModelContext& context);

}  // namespace longhaul::testing
