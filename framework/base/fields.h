// defines: Resume, FieldKind, Field, FieldVisitor and the traits of each kind of field
//
// How a part declares its configuration: a plain struct, and one function that binds every key to a member of it.
//
//   struct LocalOptions { int64_t window = 512; LocalKind kind = LocalKind::kSliding; };
//
//   void fields(FieldVisitor& v, LocalOptions& o) {
//     v.integer("window", o.window, {.min = 1, .unit = "tokens"}, "visible keys, the own one included (causal)");
//     v.choice("local_kind", o.kind, {{"sliding", LocalKind::kSliding}, {"block", LocalKind::kBlock}}, {}, "...");
//   }
//
// Parsing, validation, help, the reference page, the JSON Schema, the resolved dump and the comparison on resume are
// visitors over that one function. The default of a key is the member's initial value.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "framework/base/units.h"

namespace longhaul {

/// What happens when a key differs from the one an interrupted run was started with.
enum class Resume {
  kInherit,    // as the section it stands in
  kFixed,      // refused: it decides what is computed
  kMayChange,  // allowed from here on, recorded in run.json
  kHarmless,   // silent: it does not change the result
};

enum class FieldKind { kBoolean, kInteger, kNumber, kText, kChoice, kBytes, kCount, kDuration, kPeriod, kPercentRange };

struct FieldTraits {
  Resume resume = Resume::kInherit;
  std::string_view default_text = "";  // what help says about the default when a number would mislead: "dim / heads"
  bool discriminates = false;  // other keys of the section depend on this one; while it is wrong they go unchecked
};

struct IntegerTraits {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
  std::string_view unit = "";  // "tokens", "rows": what is counted
  std::optional<int64_t> automatic =
      std::nullopt;  // the value the word `auto` stands for; it may lie outside the range
  Resume resume = Resume::kInherit;
  std::string_view default_text = "";
};

struct NumberTraits {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  // min itself is refused
  bool below_max = false;  // max itself is refused
  Resume resume = Resume::kInherit;
  std::string_view default_text = "";
};

struct TextTraits {
  bool path = false;  // a file, folder or glob: relative to the file that gives it (command line: working directory)
  bool may_be_empty = true;
  Resume resume = Resume::kInherit;
  std::string_view default_text = "";
};

struct ListTraits {
  size_t min_size = 0;
  size_t max_size = std::numeric_limits<size_t>::max();
  Resume resume = Resume::kInherit;
};

struct SectionTraits {
  Resume resume = Resume::kInherit;
  std::string_view same_as = "";  // the keys are those of that section, so a reference need not repeat them
  std::string_view shorthand =
      "";  // records and sections: a plain value stands for this one key: "a.txt" = {path: a.txt}
};

/// One value as every visitor sees it; `set` and `get` reach the bound member.
struct Field {
  std::string_view name;
  std::string_view help;
  FieldKind kind = FieldKind::kText;
  Resume resume = Resume::kInherit;
  bool path = false;
  bool discriminates = false;
  std::string expected;              // "a whole number of tokens, 1 or more"
  std::string_view default_text;     // empty: say get() of a fresh object
  std::vector<std::string> choices;  // kChoice
  std::optional<double> min, max;    // kInteger, kNumber
  bool above_min = false, below_max = false;
  std::string automatic;  // "auto" where that word is taken
  /// Takes the text of a value; false when it is not what is expected, and then nothing has changed.
  std::function<bool(std::string_view text)> set;
  /// The value as text that set() takes back to an equal value.
  std::function<std::string()> get;
};

/// A list of plain values; `item` is bound to a scratch element.
struct ListField {
  Field item;  // name and help are those of the list; set and get work on the element at `at`
  ListTraits traits;
  std::function<size_t()> size;
  std::function<void(size_t)> resize;  // new elements have their default
  std::function<void(size_t)> select;  // item.set and item.get work on this element from now on
};

class FieldVisitor;

/// A list of sections, such as the entries of data.train.
struct RecordsField {
  std::string_view name;
  std::string_view help;
  SectionTraits traits;
  std::function<size_t()> size;
  std::function<void(size_t)> resize;
  std::function<void(FieldVisitor&, size_t)> visit;  // declares the keys of one element
  std::function<void(FieldVisitor&)> describe;       // declares the keys of a fresh element, for help and schemas
};

/// Walks a declaration. Users call the typed functions below; a visitor implements the four at the end.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  void boolean(std::string_view name, bool& value, const FieldTraits& traits, std::string_view help);
  /// Any signed integral member; the range of a narrower member narrows the accepted one.
  template <typename T>
  void integer(std::string_view name, T& value, IntegerTraits traits, std::string_view help) {
    static_assert(std::is_integral_v<T> && std::is_signed_v<T>);
    traits.min = std::max<int64_t>(traits.min, std::numeric_limits<T>::min());
    traits.max = std::min<int64_t>(traits.max, std::numeric_limits<T>::max());
    integer_field(
        name, traits, help, [&value] { return static_cast<int64_t>(value); },
        [&value](int64_t v) { value = static_cast<T>(v); });
  }
  void number(std::string_view name, double& value, const NumberTraits& traits, std::string_view help);
  void number(std::string_view name, float& value, const NumberTraits& traits, std::string_view help);
  void text(std::string_view name, std::string& value, const TextTraits& traits, std::string_view help);
  /// Sizes in bytes ("8GiB"); `automatic` in the traits gives `auto` a value.
  void bytes(std::string_view name, int64_t& value, const IntegerTraits& traits, std::string_view help);
  /// Large counts ("50M").
  void count(std::string_view name, int64_t& value, const IntegerTraits& traits, std::string_view help);
  /// Seconds ("30m"); 0 = off.
  void duration(std::string_view name, double& value, const FieldTraits& traits, std::string_view help);
  void period(std::string_view name, Period& value, const FieldTraits& traits, std::string_view help);
  void percent_range(std::string_view name, PercentRange& value, const FieldTraits& traits, std::string_view help);

  /// One of the named values of an enumeration.
  template <typename E>
  void choice(std::string_view name, E& value, std::vector<std::pair<std::string_view, E>> options,
              const FieldTraits& traits, std::string_view help) {
    std::vector<std::string> names;
    for (const auto& option : options) names.emplace_back(option.first);
    choice_field(
        name, std::move(names), traits, help,
        [&value, options]() -> size_t {
          for (size_t i = 0; i < options.size(); ++i) {
            if (options[i].second == value) return i;
          }
          return options.size();
        },
        [&value, options](size_t i) { value = options[i].second; });
  }

  void list(std::string_view name, std::vector<std::string>& values, const TextTraits& item, const ListTraits& traits,
            std::string_view help);
  void list(std::string_view name, std::vector<int64_t>& values, const IntegerTraits& item, const ListTraits& traits,
            std::string_view help);
  void list(std::string_view name, std::vector<double>& values, const NumberTraits& item, const ListTraits& traits,
            std::string_view help);

  /// A mapping with its own keys; `body` declares them on this visitor.
  void section(std::string_view name, const SectionTraits& traits, std::string_view help,
               const std::function<void(FieldVisitor&)>& body) {
    on_section(name, traits, help, body);
  }

  /// A list of mappings; `declare(visitor, element)` declares the keys of one.
  template <typename T, typename F>
  void records(std::string_view name, std::vector<T>& values, const SectionTraits& traits, F declare,
               std::string_view help) {
    RecordsField field{
        .name = name, .help = help, .traits = traits, .size = {}, .resize = {}, .visit = {}, .describe = {}};
    field.size = [&values] { return values.size(); };
    field.resize = [&values](size_t n) { values.resize(n); };
    field.visit = [&values, declare](FieldVisitor& v, size_t i) { declare(v, values[i]); };
    field.describe = [declare](FieldVisitor& v) {
      T fresh;
      declare(v, fresh);
    };
    on_records(field);
  }

 protected:
  virtual void on_field(const Field& field) = 0;
  virtual void on_list(const ListField& field) = 0;
  virtual void on_section(std::string_view name, const SectionTraits& traits, std::string_view help,
                          const std::function<void(FieldVisitor&)>& body) = 0;
  virtual void on_records(const RecordsField& field) = 0;

 private:
  void integer_field(std::string_view name, const IntegerTraits& traits, std::string_view help,
                     std::function<int64_t()> get, std::function<void(int64_t)> set);
  void choice_field(std::string_view name, std::vector<std::string> names, const FieldTraits& traits,
                    std::string_view help, std::function<size_t()> get, std::function<void(size_t)> set);
};

}  // namespace longhaul
