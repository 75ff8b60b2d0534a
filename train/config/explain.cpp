#include <fmt/format.h>

#include <algorithm>

#include "framework/base/error.h"
#include "train/config/catalogue.h"
#include "train/config/suggest.h"

namespace longhaul::config {
namespace {

std::string_view resume_text(Resume resume) {
  switch (resume) {
    case Resume::kMayChange:
      return "may change from here on: allowed, recorded in run.json, one warning line";
    case Resume::kHarmless:
      return "harmless: may change in silence";
    case Resume::kFixed:
    case Resume::kInherit:
      break;
  }
  return "fixed: another value is refused (exit 2)";
}

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

std::string last_part(std::string_view key) { return std::string(key.substr(key.rfind('.') + 1)); }

// "data.train[0].path" and "data.train.path" both name the key "data.train[].path".
std::string without_index(const std::string& key) {
  std::string out;
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] == '[') {
      i = std::min(key.find(']', i), key.size() - 1);
    } else {
      out += key[i];
    }
  }
  return out;
}

std::string explain_value(const CatalogueEntry& entry) {
  std::string out =
      fmt::format("{}\n  {}\n  type       {}\n  expects    {}\n  default    {}\n  on resume  {}\n", entry.key,
                  entry.help, entry.type, entry.expected, entry.default_value, resume_text(entry.resume));
  if (!entry.families.empty()) out += fmt::format("  family     {}\n", joined(entry.families));
  return out;
}

std::string explain_section(const CatalogueEntry& section) {
  const std::string name = section.key;
  std::string out = fmt::format("{}\n  {}\n", name, section.help);
  if (!section.shorthand.empty()) {
    out += fmt::format("  each item is keys in braces, or a plain value that stands for {{{}: value}}\n",
                       section.shorthand);
  }
  if (!section.expected.empty()) out += fmt::format("  keys       {}\n", section.expected);
  std::vector<const CatalogueEntry*> inside;
  size_t width = 0;
  for (const CatalogueEntry& entry : catalogue()) {
    if (!entry.key.starts_with(name + ".") && !entry.key.starts_with(name + "[].")) continue;
    inside.push_back(&entry);
    width = std::max(width, entry.key.size());
  }
  for (const CatalogueEntry* entry : inside) {
    const std::string owner = entry->families.empty() ? "" : fmt::format(" (family {})", joined(entry->families));
    const std::string shown = entry->section ? "" : fmt::format(" [{}]", entry->default_value);
    out += fmt::format("  {:<{}}  {}{}{}\n", entry->key, width, entry->help, shown, owner);
  }
  return out;
}

}  // namespace

std::string explain_key(const std::string& key) {
  std::string wanted = without_index(key);
  for (const CatalogueEntry& entry : catalogue()) {
    const std::string prefix = without_index(entry.key) + ".";
    if (!entry.same_as.empty() && wanted.starts_with(prefix))
      wanted = entry.same_as + "." + wanted.substr(prefix.size());
  }
  std::vector<const CatalogueEntry*> found;
  for (const CatalogueEntry& entry : catalogue()) {
    if (without_index(entry.key) == wanted) found.push_back(&entry);
  }
  if (found.empty() && wanted.find('.') == std::string::npos) {
    for (const CatalogueEntry& entry : catalogue()) {
      if (last_part(entry.key) == wanted) found.push_back(&entry);
    }
  }
  std::string out;
  for (const CatalogueEntry* entry : found) {
    if (!out.empty()) out += "\n";
    out += entry->section ? explain_section(*entry) : explain_value(*entry);
  }
  if (!out.empty()) return out;
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : catalogue()) {
    names.push_back(without_index(entry.key));
    if (wanted.find('.') == std::string::npos) names.push_back(last_part(entry.key));
  }
  const std::string near = nearest(wanted, names);
  fail<ConfigError>("[config] there is no key \"{}\"{}\n  next: longhaul config explain, without a key, lists all", key,
                    near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
}

Suggestion suggest_key(const std::string& prefix, const std::string& name, const std::vector<std::string>& known) {
  const auto here = [&](const std::string& near) {
    return Suggestion{prefix + near, fmt::format("; did you mean \"{}\"?", near)};
  };
  const std::string near = nearest(name, known);
  if (!near.empty() && edit_distance(near, name) <= 1) return here(near);
  std::vector<std::string> elsewhere;
  for (const CatalogueEntry& entry : catalogue()) {
    if (last_part(entry.key) != name) continue;
    if (prefix == "model." && entry.key == "model." + name && !entry.families.empty()) {
      return {entry.key, fmt::format("; it is a key of the family {}", joined(entry.families))};
    }
    // A stage repeats keys of other sections; those are meant.
    if (!entry.key.starts_with("train.stages")) elsewhere.push_back(entry.key);
  }
  if (prefix.empty() && name.find('.') != std::string::npos) {
    for (const CatalogueEntry& entry : catalogue()) {
      if (entry.key != name) continue;
      const size_t dot = name.rfind('.');
      return {name, fmt::format("; in a file each dot is a section: {}: {{{}: ...}}", name.substr(0, dot),
                                name.substr(dot + 1))};
    }
  }
  if (elsewhere.size() == 1) return {elsewhere[0], fmt::format("; did you mean \"{}\"?", elsewhere[0])};
  if (!near.empty()) return here(near);
  if (elsewhere.size() > 1) return {"", fmt::format("; keys of that name: {}", joined(elsewhere))};
  std::vector<std::string> all;
  for (const CatalogueEntry& entry : catalogue()) all.push_back(last_part(entry.key));
  const std::string far = nearest(name, all);
  if (!far.empty() && std::count(all.begin(), all.end(), far) == 1) {
    for (const CatalogueEntry& entry : catalogue()) {
      if (last_part(entry.key) == far) return {entry.key, fmt::format("; did you mean \"{}\"?", entry.key)};
    }
  }
  if (prefix.empty()) return {"", "; the sections are run, data, model, memory, train"};
  return {"", fmt::format("; longhaul config explain {} lists its keys",
                          without_index(prefix.substr(0, prefix.size() - 1)))};
}

}  // namespace longhaul::config
