#include "models/transformer/options.h"

#include "framework/pattern/builders.h"
#include "models/common/fields.h"
#include "models/transformer/model.h"

namespace longhaul::models {

FamilyInfo transformer_family() {
  FamilyInfo info =
      family_of<FamilyOptions>("transformer", "dense attention: every token sees all (causal: all before it)");
  info.cost = "time O(N^2 D), memory O(N D)";
  info.fields = [](FieldVisitor& v, FamilyOptions& o) { body_fields(v, o.body); };
  info.resolve = [](FamilyOptions& o, const ModelContext& context) { resolve_body(o.body, context); };
  info.check = [](const FamilyOptions& o, const ModelContext& context, const Complain& complain) {
    check_body(o.body, context, complain);
  };
  info.pattern = [](const FamilyOptions&, Form form, const Extent& extent) {
    return form == Form::kEncoder ? pattern::dense(extent) : pattern::causal(extent);
  };
  info.build = build_transformer;
  info.build_sequence = build_sequence_transformer;
  return info;
}

}  // namespace longhaul::models
