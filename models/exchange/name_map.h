// defines: exchange::Part, NameRule, TiedName, NameMap, our_shapes, add_projections, add_linear
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "framework/tensor/tensor.h"

/// How the tensors of a public checkpoint and ours correspond. A family states names only; shapes are taken from the
/// tensors, and nothing may be left over on either side, so that a way there and back changes no bit.
namespace longhaul::models::exchange {

/// Rows [begin, begin + size) along one axis; size -1: the whole tensor.
struct Part {
  int axis = 0;
  int64_t begin = 0;
  int64_t size = -1;
  bool whole() const { return size < 0; }
};

/// One piece that is stored on both sides. Several rules with one public name split it (a fused projection into three),
/// several with one of our names join tensors.
struct NameRule {
  std::string public_name;
  std::string our_name;
  bool transpose = false;  // the last two axes are exchanged; `public_part` counts axes before that
  Part public_part{};
  Part our_part{};
  Shape public_shape = {}, our_shape = {};  // of the same elements where they differ (axes of size 1); no axes: they do not
};

/// A public name under which a tensor may be stored a second time, bit for bit.
struct TiedName {
  std::string alias;
  std::string stored;  // public name of the tensor itself
};

struct NameMap {
  std::vector<NameRule> rules;
  std::vector<TiedName> tied;
  std::vector<std::string> buffers;  // public tensors that are kept as they are and mean nothing to the model
  std::map<std::string, Shape> zeros;  // of ours: zeros where a folder lacks the public tensor that becomes it

  /// Adds the rule once a layer, with "{}" in both names replaced by 0 ... layers - 1.
  void add_layers(int64_t layers, const NameRule& rule);
};

/// Query, key and value of width `width` that are parts of one tensor of ours, weight and, with `bias`, bias. The names hold
/// "{}" for the layer.
void add_projections(NameMap& map, int64_t layers, const std::vector<std::string>& public_names, const std::string& our_name, int64_t width, bool bias);
/// One linear layer or norm in every layer.
void add_linear(NameMap& map, int64_t layers, const std::string& public_name, const std::string& our_name, bool bias);

/// Checks that the rules cover every public tensor and every one of ours exactly once. `shapes` holds the public
/// tensors that are neither tied nor buffers. `where` begins the messages. Returns the shapes of our tensors. throws
/// CheckpointError naming the tensor that is missing, unknown, covered twice or in part
std::map<std::string, Shape> our_shapes(const NameMap& map, const std::map<std::string, Shape>& shapes,
                                        const std::string& where);

/// The two views of a rule, of equal shapes: the public tensor's piece, transposed where the rule says so, and ours.
Tensor public_side(const NameRule& rule, const Tensor& tensor);
Tensor our_side(const NameRule& rule, const Tensor& tensor);

}  // namespace longhaul::models::exchange
