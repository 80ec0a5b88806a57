// KeyReference as text: a page, and the answer to a question about one key.
#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "launch/reference/key_reference.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/nearest_word.hpp"

namespace keyshard {
namespace {

constexpr const char* kIntroduction =
    "# Configuration\n\n"
    "Every key that a configuration may have. `keyshard config` prints this page from the "
    "tables and the calls that read the keys, and a test compares the two. `keyshard config KEY` "
    "prints one entry, `keyshard config FILE` all keys of a configuration with what is given and "
    "what is default.\n\n"
    "A configuration is TOML; `--set key=value` of a command overrides a key, and a misspelt key "
    "is "
    "an error with file, line and the nearest legal key. The last column says what a change at a "
    "resume does: *free* keys may change, *warns* keys may change too, but the result has other "
    "bits "
    "from there on, and with another value of *fixed* keys `train` exits with 3.\n";

/// The heading of a table in a file.
std::string heading(const std::string& path) {
  return path == "data.columns" ? "`[[data.columns]]`" : fmt::format("`[{}]`", path);
}

std::string sentence(std::string_view words) {
  return words.empty() ? "" : fmt::format("{}\n\n", words);
}

std::string meaning_of(const ReferenceEntry& entry) {
  return fmt::format("{}{}", entry.key->meaning,
                     entry.only.empty() ? "" : fmt::format("; only where {}", entry.only));
}

std::string section_text(const ReferenceSection& section) {
  std::vector<std::string> headings;
  std::transform(section.paths.begin(), section.paths.end(), std::back_inserter(headings), heading);
  std::string text = fmt::format("\n## {}\n\n", section.table->title);
  text += section.paths.front().empty() ? "" : joined(headings, ", ") + "\n\n";
  text += sentence(section.table->about);
  text += "| key | type | default | unit | meaning | resume |\n|---|---|---|---|---|---|\n";
  for (const ReferenceEntry& entry : section.entries) {
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", entry.key->key, entry.type,
                        entry.otherwise, entry.key->unit, meaning_of(entry), entry.resume);
  }
  return text;
}

std::string line_of(const char* name, std::string_view value) {
  return value.empty() ? "" : fmt::format("  {:8} {}\n", name, value);
}

std::string entry_text(const ReferenceEntry& entry) {
  return joined(entry.paths, ", ") + "\n" + line_of("meaning", meaning_of(entry)) +
         line_of("type", entry.type) + line_of("default", entry.otherwise) +
         line_of("unit", entry.key->unit) + line_of("resume", entry.resume);
}

/// A path without the numbers of columns: "data.columns[3].role" is "data.columns.role".
std::string without_numbers(std::string_view key) {
  std::string path;
  bool inside = false;
  for (const char c : key) {
    inside |= c == '[';
    path += inside ? "" : std::string(1, c);
    inside &= c != ']';
  }
  return path;
}

/// The paths that a key may mean, as the reference has them: "tables.user.dim" is
/// "tables.NAME.dim". A name with dots may end at each of them, unless it is quoted as in TOML.
std::vector<std::string> reference_paths(std::string_view key) {
  constexpr std::string_view kTables = "tables.";
  if (!key.starts_with(kTables)) {
    return {without_numbers(key)};
  }
  const std::string_view name = key.substr(kTables.size());
  const bool quoted = name.starts_with('"') || name.starts_with('\'');
  const std::size_t end = quoted ? name.find(name.front(), 1) : std::string_view::npos;
  if (end != std::string_view::npos) {
    return {fmt::format("tables.NAME{}", name.substr(end + 1))};
  }
  std::vector<std::string> paths;
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos;
       dot = name.find('.', dot + 1)) {
    paths.push_back(fmt::format("tables.NAME{}", name.substr(dot)));
  }
  return paths.empty() ? std::vector<std::string>{"tables.NAME"} : paths;
}

bool answers(const ReferenceSection& section, const ReferenceEntry& entry,
             const std::string& path) {
  const auto& places = section.paths;
  return entry.key->key == path || std::find(places.begin(), places.end(), path) != places.end() ||
         std::find(entry.paths.begin(), entry.paths.end(), path) != entry.paths.end();
}

}  // namespace

std::string KeyReference::markdown() const {
  std::string text = kIntroduction;
  for (const ReferenceSection& section : sections) {
    text += section_text(section);
  }
  return text;
}

std::string KeyReference::explain(std::string_view key) const {
  std::set<std::string> names;
  std::string nearest;
  for (const std::string& path : reference_paths(key)) {
    std::string text;
    for (const ReferenceSection& section : sections) {
      for (const ReferenceEntry& entry : section.entries) {
        names.insert(entry.paths.begin(), entry.paths.end());
        names.emplace(entry.key->key);
        text += answers(section, entry, path) ? entry_text(entry) : "";
      }
    }
    if (!text.empty()) {
      return text;
    }
    nearest = nearest.empty() ? did_you_mean(path, {names.begin(), names.end()}) : nearest;
  }
  fail(Kind::invalid_argument,
       "expected a key of a configuration, as job.seed or seed, or a file: found \"{}\"{}", key,
       nearest);
}

}  // namespace keyshard
