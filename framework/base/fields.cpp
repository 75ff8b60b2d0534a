#include "framework/base/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>

namespace longhaul {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

// ", 1 or more", ", 1 to 8", "": the range as the end of a sentence.
std::string range_text(bool has_min, bool has_max, const std::string& min, const std::string& max, bool above_min,
                       bool below_max) {
  if (has_min && has_max) {
    if (!above_min && !below_max) return fmt::format(", {} to {}", min, max);
    return fmt::format(", {} {} and {} {}", above_min ? "above" : "at least", min, below_max ? "below" : "at most",
                       max);
  }
  if (has_min) return above_min ? fmt::format(", above {}", min) : fmt::format(", {} or more", min);
  if (has_max) return below_max ? fmt::format(", below {}", max) : fmt::format(", {} or less", max);
  return "";
}

// A narrower member than int64_t narrows the range; its own limits are no news for a user.
bool real_min(int64_t min) { return min > std::numeric_limits<int32_t>::min(); }
bool real_max(int64_t max) { return max < std::numeric_limits<int32_t>::max(); }

std::string or_automatic(std::string expected, const std::optional<int64_t>& automatic) {
  return automatic ? expected + ", or auto" : expected;
}

using Parse = std::function<std::optional<int64_t>(std::string_view)>;
using Format = std::function<std::string(int64_t)>;

// Integers, bytes and counts: the same field but for how a value is written.
Field whole_field(std::string_view name, FieldKind kind, const IntegerTraits& traits, std::string_view help,
                  std::string expected, Parse parse, Format format, std::function<int64_t()> get,
                  std::function<void(int64_t)> set) {
  Field field;
  field.name = name;
  field.help = help;
  field.kind = kind;
  field.resume = traits.resume;
  field.default_text = traits.default_text;
  field.expected = or_automatic(std::move(expected), traits.automatic);
  if (traits.automatic) field.automatic = "auto";
  if (real_min(traits.min)) field.min = static_cast<double>(traits.min);
  if (real_max(traits.max)) field.max = static_cast<double>(traits.max);
  field.set = [parse, set, traits](std::string_view text) {
    if (traits.automatic && text == "auto") {
      set(*traits.automatic);
      return true;
    }
    const auto value = parse(text);
    if (!value || *value < traits.min || *value > traits.max) return false;
    set(*value);
    return true;
  };
  field.get = [format, get, traits] {
    const int64_t value = get();
    return traits.automatic && value == *traits.automatic ? std::string("auto") : format(value);
  };
  return field;
}

Field integer_like(std::string_view name, const IntegerTraits& traits, std::string_view help,
                   std::function<int64_t()> get, std::function<void(int64_t)> set) {
  const std::string what = traits.unit.empty() ? "a whole number" : fmt::format("a whole number of {}", traits.unit);
  const std::string expected =
      what + range_text(real_min(traits.min), real_max(traits.max), fmt::format("{}", traits.min),
                        fmt::format("{}", traits.max), false, false);
  return whole_field(
      name, FieldKind::kInteger, traits, help, expected, units::parse_integer,
      [](int64_t v) { return fmt::format("{}", v); }, std::move(get), std::move(set));
}

template <typename T>
Field number_like(std::string_view name, const NumberTraits& traits, std::string_view help, std::function<T&()> value) {
  Field field;
  field.name = name;
  field.help = help;
  field.kind = FieldKind::kNumber;
  field.resume = traits.resume;
  field.default_text = traits.default_text;
  const bool has_min = std::isfinite(traits.min), has_max = std::isfinite(traits.max);
  field.expected = "a number" + range_text(has_min, has_max, fmt::format("{}", traits.min),
                                           fmt::format("{}", traits.max), traits.above_min, traits.below_max);
  if (has_min) field.min = traits.min;
  if (has_max) field.max = traits.max;
  field.above_min = traits.above_min;
  field.below_max = traits.below_max;
  field.set = [value, traits](std::string_view text) {
    const auto parsed = units::parse_number(text);
    if (!parsed || *parsed < traits.min || *parsed > traits.max) return false;
    if ((traits.above_min && *parsed == traits.min) || (traits.below_max && *parsed == traits.max)) return false;
    const T stored = static_cast<T>(*parsed);
    if (!std::isfinite(stored)) return false;
    value() = stored;
    return true;
  };
  field.get = [value] { return fmt::format("{}", value()); };
  return field;
}

Field text_like(std::string_view name, const TextTraits& traits, std::string_view help,
                std::function<std::string&()> value) {
  Field field;
  field.name = name;
  field.help = help;
  field.kind = FieldKind::kText;
  field.path = traits.path;
  field.resume = traits.resume;
  field.default_text = traits.default_text;
  field.expected = traits.path ? "a path" : "a text";
  if (!traits.may_be_empty) field.expected += " that is not empty";
  field.set = [value, traits](std::string_view text) {
    if (text.empty() && !traits.may_be_empty) return false;
    value() = std::string(text);
    return true;
  };
  field.get = [value] { return value(); };
  return field;
}

// Kinds that only need a parser and a formatter.
template <typename T>
Field simple_field(std::string_view name, FieldKind kind, const FieldTraits& traits, std::string_view help,
                   std::string expected, T& value, std::optional<T> (*parse)(std::string_view),
                   std::function<std::string(const T&)> format) {
  Field field;
  field.name = name;
  field.help = help;
  field.kind = kind;
  field.resume = traits.resume;
  field.default_text = traits.default_text;
  field.expected = std::move(expected);
  field.set = [&value, parse](std::string_view text) {
    const auto parsed = parse(text);
    if (!parsed) return false;
    value = *parsed;
    return true;
  };
  field.get = [&value, format] { return format(value); };
  return field;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

template <typename T>
struct Selected {
  std::vector<T>* values;
  size_t index = 0;
};

template <typename T, typename Make>
ListField list_field(std::vector<T>& values, const ListTraits& traits, Make make) {
  auto selected = std::make_shared<Selected<T>>(Selected<T>{&values});
  ListField field;
  field.item = make([selected]() -> T& { return (*selected->values)[selected->index]; });
  field.item.resume = traits.resume;
  field.traits = traits;
  field.size = [&values] { return values.size(); };
  field.resize = [&values](size_t n) { values.resize(n); };
  field.select = [selected](size_t i) { selected->index = i; };
  return field;
}

}  // namespace

void FieldVisitor::boolean(std::string_view name, bool& value, const FieldTraits& traits, std::string_view help) {
  on_field(simple_field<bool>(name, FieldKind::kBoolean, traits, help, "true or false", value, parse_boolean,
                              [](const bool& v) { return std::string(v ? "true" : "false"); }));
}

void FieldVisitor::integer_field(std::string_view name, const IntegerTraits& traits, std::string_view help,
                                 std::function<int64_t()> get, std::function<void(int64_t)> set) {
  on_field(integer_like(name, traits, help, std::move(get), std::move(set)));
}

void FieldVisitor::number(std::string_view name, double& value, const NumberTraits& traits, std::string_view help) {
  on_field(number_like<double>(name, traits, help, [&value]() -> double& { return value; }));
}

void FieldVisitor::number(std::string_view name, float& value, const NumberTraits& traits, std::string_view help) {
  on_field(number_like<float>(name, traits, help, [&value]() -> float& { return value; }));
}

void FieldVisitor::text(std::string_view name, std::string& value, const TextTraits& traits, std::string_view help) {
  on_field(text_like(name, traits, help, [&value]() -> std::string& { return value; }));
}

void FieldVisitor::bytes(std::string_view name, int64_t& value, const IntegerTraits& traits, std::string_view help) {
  on_field(whole_field(
      name, FieldKind::kBytes, traits, help, "a size in bytes, e.g. 8GiB or 512MiB", units::parse_bytes,
      units::format_bytes, [&value] { return value; }, [&value](int64_t v) { value = v; }));
}

void FieldVisitor::count(std::string_view name, int64_t& value, const IntegerTraits& traits, std::string_view help) {
  const std::string what = traits.unit.empty() ? "a count" : fmt::format("a number of {}", traits.unit);
  on_field(whole_field(
      name, FieldKind::kCount, traits, help, what + ", e.g. 50M, 20k or 1234", units::parse_count, units::format_count,
      [&value] { return value; }, [&value](int64_t v) { value = v; }));
}

void FieldVisitor::duration(std::string_view name, double& value, const FieldTraits& traits, std::string_view help) {
  on_field(simple_field<double>(name, FieldKind::kDuration, traits, help, "a duration, e.g. 90s, 30m, 2h, or 0", value,
                                units::parse_duration, [](const double& v) { return units::format_duration(v); }));
}

void FieldVisitor::period(std::string_view name, Period& value, const FieldTraits& traits, std::string_view help) {
  on_field(simple_field<Period>(name, FieldKind::kPeriod, traits, help,
                                "a period, e.g. 1000, 1000step, 50Mtok, 2e, 30m", value, units::parse_period,
                                units::format_period));
}

void FieldVisitor::percent_range(std::string_view name, PercentRange& value, const FieldTraits& traits,
                                 std::string_view help) {
  on_field(simple_field<PercentRange>(name, FieldKind::kPercentRange, traits, help,
                                      "a part of the file in percent, e.g. 0%..90%", value, units::parse_percent_range,
                                      units::format_percent_range));
}

void FieldVisitor::choice_field(std::string_view name, std::vector<std::string> names, const FieldTraits& traits,
                                std::string_view help, std::function<size_t()> get, std::function<void(size_t)> set) {
  Field field;
  field.name = name;
  field.help = help;
  field.kind = FieldKind::kChoice;
  field.resume = traits.resume;
  field.discriminates = traits.discriminates;
  field.default_text = traits.default_text;
  field.expected = fmt::format("one of {}", fmt::join(names, ", "));
  field.choices = names;
  field.set = [names, set](std::string_view text) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (names[i] == text) {
        set(i);
        return true;
      }
    }
    return false;
  };
  field.get = [names, get] {
    const size_t i = get();
    return i < names.size() ? names[i] : std::string();
  };
  on_field(field);
}

void FieldVisitor::list(std::string_view name, std::vector<std::string>& values, const TextTraits& item,
                        const ListTraits& traits, std::string_view help) {
  on_list(
      list_field(values, traits, [&](std::function<std::string&()> at) { return text_like(name, item, help, at); }));
}

void FieldVisitor::list(std::string_view name, std::vector<int64_t>& values, const IntegerTraits& item,
                        const ListTraits& traits, std::string_view help) {
  on_list(list_field(values, traits, [&](std::function<int64_t&()> at) {
    return integer_like(
        name, item, help, [at] { return at(); }, [at](int64_t v) { at() = v; });
  }));
}

void FieldVisitor::list(std::string_view name, std::vector<double>& values, const NumberTraits& item,
                        const ListTraits& traits, std::string_view help) {
  on_list(list_field(values, traits,
                     [&](std::function<double&()> at) { return number_like<double>(name, item, help, at); }));
}

}  // namespace longhaul
