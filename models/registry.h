// defines: ModelContext, FamilyOptions, StreamNeeds, FamilyInfo, families, find_family
//
// The catalogue of model families as the configuration sees it: a name, an options object, the declaration of its keys,
// and the rules between them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/fields.h"
#include "models/common/options.h"

namespace longhaul {
class Pattern;
struct Extent;
}  // namespace longhaul

namespace longhaul::nn {
class Initializer;
}

namespace longhaul::models {

class ReferenceLoader;  // models/parity.h

class LanguageModel;
class SequenceModel;
struct ModelSpec;

/// What a family may know about the rest of the configuration.
struct ModelContext {
  int64_t sequence_length = 0;  // tokens of a training sequence
  int64_t target_length = 0;    // tokens of the longest target of an encoder_decoder; else 0
  Form form = Form::kDecoder;   // never kAuto: already taken from the objective where the configuration left it open
  bool reversible = false;      // memory.reversible
};

/// Base of a family's options; a family without keys of its own uses it as it is.
struct FamilyOptions {
  virtual ~FamilyOptions() = default;
  BodyOptions body;
};

/// How a model that carries a memory reads its data: streams, some segments of each in a step.
struct StreamNeeds {
  int64_t segments = 1;      // of a step, each data.sequence_length long
  int64_t memory = 0;        // tokens kept between steps
  bool documents = false;    // tokens see only those of their own document
  int64_t slots = 0;         // of a compressed memory
  int64_t rate = 1;          // tokens a slot; divides every segment
  int function = 0;          // number of what makes slots

  bool operator==(const StreamNeeds&) const = default;
};

/// Reports a conflict: the key inside `model` it is about ("heads") and what is wrong ("does not divide model.dim =
/// 10").
using Complain = std::function<void(std::string_view key, const std::string& what)>;

struct FamilyInfo {
  std::string name;     // as in model.family
  std::string summary;  // one line for help
  std::string cost = {};  // of a layer with N tokens of width D, for pictures of its pattern
  Form drawn = Form::kDecoder;  // the form that a picture of the family, without a configuration, shows
  std::function<std::shared_ptr<FamilyOptions>()> make;
  std::function<std::shared_ptr<FamilyOptions>(const FamilyOptions&)> copy;
  /// Declares every key of the family, those of the common body included.
  std::function<void(FieldVisitor&, FamilyOptions&)> fields;
  /// memory.reversible where a configuration does not say it.
  bool reversible = false;
  /// What a reader of this family's evaluation figures must know; empty: nothing, or no such function.
  std::function<std::string(const FamilyOptions&)> caution = {};
  /// Replaces values that stand for a rule ("0 = dim / heads") by what the rule gives. Leaves impossible ones for
  /// check.
  std::function<void(FamilyOptions&, const ModelContext&)> resolve;
  /// Reports everything that cannot work together; called after resolve.
  std::function<void(const FamilyOptions&, const ModelContext&, const Complain&)> check;
  /// Who sees whom in a layer of this family, as the kernels of a model with these options run it.
  std::function<Pattern(const FamilyOptions&, Form, const Extent&)> pattern;
  /// How its models read streams; empty where nothing is carried from step to step.
  std::function<StreamNeeds(const FamilyOptions&)> streams;
  /// What runs the stored reference cases of the systems this family stands for; empty: there are none.
  std::vector<std::shared_ptr<const ReferenceLoader>> references;
  /// Builds a decoder or encoder; the options of the specification are of this family, resolved and checked. Empty where
  /// the family has neither.
  std::function<std::unique_ptr<LanguageModel>(const ModelSpec&, nn::Initializer&)> build;
  /// Builds an encoder with a decoder; empty where the family has no such form.
  std::function<std::unique_ptr<SequenceModel>(const ModelSpec&, nn::Initializer&)> build_sequence;
};

/// All families of this build, in the order help shows them.
const std::vector<FamilyInfo>& families();

/// The family of that name, or nullptr.
const FamilyInfo* find_family(std::string_view name);

/// Fills `make` and `copy` for a family whose options are of type T.
template <typename T>
FamilyInfo family_of(std::string name, std::string summary) {
  FamilyInfo info;
  info.name = std::move(name);
  info.summary = std::move(summary);
  info.make = [] { return std::make_shared<T>(); };
  info.copy = [](const FamilyOptions& options) { return std::make_shared<T>(dynamic_cast<const T&>(options)); };
  return info;
}

}  // namespace longhaul::models
