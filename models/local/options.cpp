#include "models/local/options.h"

#include "models/common/fields.h"
#include "models/local/model.h"

namespace longhaul::models {

FamilyInfo local_family() {
  FamilyInfo info = family_of<LocalOptions>("local", "a sliding window, or blocks that do not overlap");
  info.cost = "time O(N w D), memory O(N D)";
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<LocalOptions&>(base);
    body_fields(v, o.body);
    v.integer("window", o.window, {.min = 1, .unit = "tokens"},
              "sliding: visible keys, the own one included (causal), or tokens on each side (two-sided); "
              "block: tokens of a block");
    v.choice("local_kind", o.kind, {{"sliding", LocalKind::kSliding}, {"block", LocalKind::kBlock}}, {},
             "sliding: each token sees the window before it; block: tokens see their own block only");
  };
  info.resolve = [](FamilyOptions& o, const ModelContext& context) { resolve_body(o.body, context); };
  info.check = [](const FamilyOptions& o, const ModelContext& context, const Complain& complain) {
    check_body(o.body, context, complain);
  };
  info.pattern = [](const FamilyOptions& base, Form form, const Extent& extent) {
    return local_pattern(dynamic_cast<const LocalOptions&>(base), form != Form::kEncoder, extent);
  };
  info.build = build_local;
  return info;
}

}  // namespace longhaul::models
