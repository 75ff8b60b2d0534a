#include "train/config/flatten.h"

#include <fmt/format.h>

#include "train/config/schema.h"

namespace longhaul::config {
namespace {

class Flattener final : public FieldVisitor {
 public:
  std::vector<FlatValue> values;

 private:
  void on_field(const Field& field) override { add(field, field.get()); }
  void on_list(const ListField& field) override {
    std::string text = "[";
    for (size_t i = 0; i < field.size(); ++i) {
      field.select(i);
      if (i > 0) text += ", ";
      text += field.item.get();
    }
    add(field.item, text + "]");
  }
  void on_section(std::string_view name, const SectionTraits& traits, std::string_view,
                  const std::function<void(FieldVisitor&)>& body) override {
    within(fmt::format("{}{}.", prefix_, name), traits.resume, [&] { body(*this); });
  }
  void on_records(const RecordsField& field) override {
    for (size_t i = 0; i < field.size(); ++i) {
      within(fmt::format("{}{}[{}].", prefix_, field.name, i), field.traits.resume, [&] { field.visit(*this, i); });
    }
    if (field.size() == 0)
      values.push_back({prefix_ + std::string(field.name), "[]", resolved(field.traits.resume), false});
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
  void add(const Field& field, std::string value) {
    values.push_back({prefix_ + std::string(field.name), std::move(value), resolved(field.resume), field.path});
  }

  std::string prefix_;
  Resume resume_ = Resume::kFixed;
};

}  // namespace

std::vector<FlatValue> flatten(const Config& config) {
  Config copy = config;  // a visitor may write; this one only reads
  Flattener flattener;
  fields(flattener, copy);
  return flattener.values;
}

}  // namespace longhaul::config
