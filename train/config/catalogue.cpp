#include "train/config/catalogue.h"

#include <fmt/format.h>

#include <algorithm>

#include "train/config/schema.h"

namespace longhaul::config {
namespace {

std::string type_name(const Field& field) {
  switch (field.kind) {
    case FieldKind::kBoolean:
      return "boolean";
    case FieldKind::kInteger:
      return "whole number";
    case FieldKind::kNumber:
      return "number";
    case FieldKind::kText:
      return field.path ? "path" : "text";
    case FieldKind::kChoice:
      return "choice";
    case FieldKind::kBytes:
      return "size";
    case FieldKind::kCount:
      return "count";
    case FieldKind::kDuration:
      return "duration";
    case FieldKind::kPeriod:
      return "period";
    case FieldKind::kPercentRange:
      return "percent range";
  }
  return "";
}

class Describer final : public FieldVisitor {
 public:
  std::vector<CatalogueEntry> entries;

 private:
  void on_field(const Field& field) override {
    CatalogueEntry entry = entry_of(field);
    entry.type = type_name(field);
    entry.default_value = field.default_text.empty() ? field.get() : std::string(field.default_text);
    if (entry.default_value.empty()) entry.default_value = "none";
    entries.push_back(std::move(entry));
  }
  void on_list(const ListField& field) override {
    CatalogueEntry entry = entry_of(field.item);
    entry.type = "list of " + type_name(field.item) + "s";
    entry.expected = "a list, each item " + field.item.expected;
    entry.default_value = "[";
    for (size_t i = 0; i < field.size(); ++i) {
      field.select(i);
      entry.default_value += (i > 0 ? ", " : "") + field.item.get();
    }
    entry.default_value += "]";
    entries.push_back(std::move(entry));
  }
  void on_section(std::string_view name, const SectionTraits& traits, std::string_view help,
                  const std::function<void(FieldVisitor&)>& body) override {
    add_section(name, help, "section", traits);
    if (traits.same_as.empty()) within(fmt::format("{}{}.", prefix_, name), traits.resume, [&] { body(*this); });
  }
  void on_records(const RecordsField& field) override {
    add_section(field.name, field.help, "list of sections", field.traits);
    entries.back().default_value = "[]";
    if (!field.traits.same_as.empty()) return;
    within(fmt::format("{}{}[].", prefix_, field.name), field.traits.resume, [&] { field.describe(*this); });
  }

  void add_section(std::string_view name, std::string_view help, std::string type, const SectionTraits& traits) {
    CatalogueEntry entry;
    entry.key = prefix_ + std::string(name);
    entry.help = help;
    entry.section = true;
    entry.type = std::move(type);
    entry.expected = traits.same_as.empty() ? "" : fmt::format("the keys of `{}`", traits.same_as);
    entry.resume = resolved(traits.resume);
    entry.shorthand = traits.shorthand;
    entry.same_as = traits.same_as;
    entries.push_back(std::move(entry));
  }
  CatalogueEntry entry_of(const Field& field) const {
    CatalogueEntry entry;
    entry.key = prefix_ + std::string(field.name);
    entry.help = field.help;
    entry.expected = field.expected;
    entry.resume = resolved(field.resume);
    return entry;
  }
  template <typename F>
  void within(std::string prefix, Resume resume, F body) {
    const std::string outer_prefix = std::exchange(prefix_, std::move(prefix));
    const Resume outer_resume = std::exchange(resume_, resolved(resume));
    body();
    prefix_ = outer_prefix;
    resume_ = outer_resume;
  }
  Resume resolved(Resume resume) const { return resume == Resume::kInherit ? resume_ : resume; }

  std::string prefix_;
  Resume resume_ = Resume::kFixed;
};

std::vector<CatalogueEntry> describe(const std::string& family) {
  Config config;
  config.model.family = family;
  Describer describer;
  fields(describer, config);
  return describer.entries;
}

bool same_key(const CatalogueEntry& a, const CatalogueEntry& b) {
  return a.key == b.key && a.help == b.help && a.expected == b.expected;
}

// The keys of every family, each once; `families` names its owners unless all families have it.
std::vector<CatalogueEntry> describe_all() {
  std::vector<CatalogueEntry> all;
  for (const models::FamilyInfo& family : models::families()) {
    size_t end_of_model = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].key.starts_with("model.")) end_of_model = i + 1;
    }
    for (CatalogueEntry& entry : describe(family.name)) {
      const auto known =
          std::find_if(all.begin(), all.end(), [&](const CatalogueEntry& e) { return same_key(e, entry); });
      if (known != all.end()) {
        known->families.push_back(family.name);
        continue;
      }
      entry.families = {family.name};
      all.insert(all.begin() + static_cast<std::ptrdiff_t>(end_of_model == 0 ? all.size() : end_of_model++), entry);
    }
  }
  for (CatalogueEntry& entry : all) {
    if (entry.key == "model.family") entry.default_value = Config{}.model.family;
    if (entry.families.size() == models::families().size()) entry.families.clear();
  }
  return all;
}

}  // namespace

const std::vector<CatalogueEntry>& catalogue() {
  static const std::vector<CatalogueEntry> all = describe_all();
  return all;
}

}  // namespace longhaul::config
