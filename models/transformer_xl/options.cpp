#include "models/transformer_xl/options.h"

#include "models/recurrent/model.h"
#include "models/recurrent/pattern.h"
#include "models/transformer_xl/reference.h"

namespace longhaul::models {

FamilyInfo transformer_xl_family() {
  FamilyInfo info = family_of<RecurrentOptions>("transformer_xl", "segments that see the states of earlier ones, with relative positions");
  info.cost = "time O(N (M + L) D) for segments of L tokens that see a memory of M, memory O((M + L) D); a generated token O(M D)";
  info.fields = [](FieldVisitor& v, FamilyOptions& o) { recurrent_fields(v, dynamic_cast<RecurrentOptions&>(o)); };
  info.resolve = [](FamilyOptions& o, const ModelContext& context) { resolve_recurrent(dynamic_cast<RecurrentOptions&>(o), context); };
  info.check = [](const FamilyOptions& o, const ModelContext& context, const Complain& complain) {
    check_recurrent(dynamic_cast<const RecurrentOptions&>(o), context, complain);
  };
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) {
    const auto& o = dynamic_cast<const RecurrentOptions&>(base);
    return stream_pattern(extent, o.segment, o.memory.length, visible_keys(o, o.memory.length));
  };
  info.streams = [](const FamilyOptions& o) { return stream_needs(dynamic_cast<const RecurrentOptions&>(o)); };
  info.references = {std::make_shared<TransfoXlReference>()};
  info.build = build_recurrent;
  return info;
}

}  // namespace longhaul::models
