#include <fmt/format.h>

#include <algorithm>

#include "train/config/catalogue.h"
#include "train/config/prescan.h"

namespace longhaul::config {
namespace {

constexpr std::string_view kHead =
    "# Configuration keys\n\n"
    "Made by `longhaul config explain`. A key is given in the YAML file or as `--set key=value`, which wins; `extends: "
    "path` "
    "or a list of paths names files that the file changes.\n\n"
    "- Sizes: `8GiB`, `512MiB`, `8GB`, `4096B`. Counts: `50M`, `20k`, `1234`. Durations: `90s`, `30m`, `2h`, `1.5d`, "
    "0.\n"
    "- Periods: a bare number of steps, `500step`, `50Mtok`, `2e` (epochs), `90s`, `30m`, `2h`; 0 = off.\n"
    "- A relative path starts at the file that gives it; on the command line at the working directory.\n"
    "- `${NAME}` and `${NAME:-default}` are taken from the environment, in values; `$${` stands for `${`. In braces "
    "such a "
    "value needs quotes.\n"
    "- A single value stands for a list of one.\n"
    "- On resume a *fixed* key may not differ from the run's; one that *may change* does so from there on and is "
    "recorded; a "
    "*harmless* one is not looked at.\n";

// What the loader does with the corners of YAML; tests/train/config hold each row.
constexpr std::pair<std::string_view, std::string_view> kYaml[] = {
    {"`true`, `false`", "the only booleans; `yes`, `no`, `on`, `off`, `True` are refused where one is expected"},
    {"`no`, `on`, `012`, `1:30`, `2024-01-01` as a text", "taken as written: the key says that it is a text"},
    {"`12`, `-3`", "whole numbers; `012`, `1_000`, `0x10`, `1e3`, `12.0` are refused where one is expected"},
    {"`1e-4`, `.5`", "numbers; `.inf`, `.nan`, `1_000` are refused"},
    {"`\"12\"`", "quotes make no difference: the key says what it is"},
    {"`key:` without a value, `~`, `null`", "empties a text, leaves a section as it is; refused for everything else"},
    {"duplicate keys", "refused, with both places"},
    {"anchors and aliases", "taken and expanded; an alias inside its own value is refused"},
    {"`<<` merge keys, tags (`!!int`, `!x`), directives (`%YAML`), keys that are no text", "refused"},
    {"a second document", "refused; `---` before and `...` after the one are taken"},
    {"byte order mark, CRLF", "taken"},
    {"tabs in the indentation, NUL and control characters, lone CR, bytes that are no UTF-8, UTF-16",
     "refused with the place"},
};

std::string_view resume_word(Resume resume) {
  switch (resume) {
    case Resume::kMayChange:
      return "may change";
    case Resume::kHarmless:
      return "harmless";
    case Resume::kFixed:
    case Resume::kInherit:
      break;
  }
  return "fixed";
}

// A bar would end the cell of a table.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string capital(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

// "data.train" for "data.train[].path"
std::string section_of(const std::string& key) {
  const size_t dot = key.rfind('.');
  std::string section = dot == std::string::npos ? "" : key.substr(0, dot);
  if (section.ends_with("[]")) section.resize(section.size() - 2);
  return section;
}

std::string section_text(const CatalogueEntry& section) {
  const bool top = section.key.find('.') == std::string::npos;
  std::string out = fmt::format("\n{} `{}`\n\n{}", top ? "##" : "###", section.key, capital(section.help));
  if (!section.same_as.empty()) out += fmt::format("; the keys of `{}`", section.same_as);
  out += ".";
  if (!section.shorthand.empty()) out += fmt::format(" A plain value stands for `{{{}: value}}`.", section.shorthand);
  out += "\n";
  bool head = false;
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.section || section_of(entry.key) != section.key) continue;
    if (!head) out += "\n| key | expects | default | on resume | meaning |\n| --- | --- | --- | --- | --- |\n";
    head = true;
    const std::string owner =
        entry.families.empty() ? "" : fmt::format(" (family {})", fmt::join(entry.families, ", "));
    out += fmt::format("| `{}` | {} | `{}` | {} | {}{} |\n", entry.key, escaped(entry.expected), entry.default_value,
                       resume_word(entry.resume), escaped(entry.help), owner);
  }
  return out;
}

}  // namespace

std::string reference_page() {
  std::string out(kHead);
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.section) out += section_text(entry);
  }
  out += "\n## What is taken as YAML\n\n| YAML | what happens |\n| --- | --- |\n";
  for (const auto& [what, then] : kYaml) out += fmt::format("| {} | {} |\n", what, then);
  out += fmt::format(
      "\nLimits: {} bytes a file, {} levels, {} values after aliases are expanded, {} keys of one mapping, {} "
      "anchors, {} files.\n",
      Limits::kFileBytes, Limits::kDepth, Limits::kNodes, Limits::kKeys, Limits::kAnchors, Limits::kFiles);
  return out;
}

}  // namespace longhaul::config
