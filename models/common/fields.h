// defines: body_fields, resolve_body, check_body
#pragma once
#include "models/registry.h"

namespace longhaul::models {

/// Declares the keys of the common body.
void body_fields(FieldVisitor& v, BodyOptions& o);

/// Gives head_dim, kv_heads, feedforward, max_positions and form the values their rules name.
void resolve_body(BodyOptions& o, const ModelContext& context);

/// Widths, heads, positions and norms that cannot work together.
void check_body(const BodyOptions& o, const ModelContext& context, const Complain& complain);

}  // namespace longhaul::models
