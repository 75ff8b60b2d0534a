#include "framework/base/fields_yaml.h"

#include <fmt/format.h>

namespace longhaul {
namespace {

bool plain_text(std::string_view text) {
  if (text.empty() || text == "null" || text == "Null" || text == "NULL") return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '_' && c != '.' && c != '/' && c != '-' && c != '+') return false;
  }
  return text.front() != '-' && text.front() != '.';
}

// A text as YAML that reads back to the same text; `${` is kept from being expanded again.
std::string quoted(std::string_view text) {
  if (plain_text(text)) return std::string(text);
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else if (c == '$' && i + 1 < text.size() && text[i + 1] == '{') {
      out += "$$";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

class Writer final : public FieldVisitor {
 public:
  explicit Writer(int indent) : indent_(indent) {}
  std::string text;

 private:
  static std::string value(const Field& field) {
    return field.kind == FieldKind::kText || field.kind == FieldKind::kPercentRange ? quoted(field.get()) : field.get();
  }
  void line(std::string_view content) {
    text += std::string(static_cast<size_t>(indent_), ' ');
    if (first_of_record_) {  // "- " takes the place of two columns of the indentation
      text.replace(text.size() - 2, 2, "- ");
      first_of_record_ = false;
    }
    text += content;
    text += "\n";
  }
  void on_field(const Field& field) override { line(fmt::format("{}: {}", field.name, value(field))); }
  void on_list(const ListField& field) override {
    std::string items;
    for (size_t i = 0; i < field.size(); ++i) {
      field.select(i);
      items += (i > 0 ? ", " : "") + value(field.item);
    }
    line(fmt::format("{}: [{}]", field.item.name, items));
  }
  void on_section(std::string_view name, const SectionTraits&, std::string_view,
                  const std::function<void(FieldVisitor&)>& body) override {
    line(fmt::format("{}:", name));
    indent_ += 2;
    body(*this);
    indent_ -= 2;
  }
  void on_records(const RecordsField& field) override {
    if (field.size() == 0) return line(fmt::format("{}: []", field.name));
    line(fmt::format("{}:", field.name));
    indent_ += 4;
    for (size_t i = 0; i < field.size(); ++i) {
      first_of_record_ = true;
      field.visit(*this, i);
    }
    indent_ -= 4;
  }

  int indent_;
  bool first_of_record_ = false;
};

}  // namespace

std::string yaml_of(const std::function<void(FieldVisitor&)>& declare, int indent) {
  Writer writer(indent);
  declare(writer);
  return std::move(writer.text);
}

}  // namespace longhaul
