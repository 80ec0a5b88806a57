// The reference of all keys of a configuration: what `keyshard config` prints, and what
// docs/configuration.md holds. Meanings and units are those of the key tables, everything else is
// what the readers ask (key_search.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/reference/key_search.hpp"
#include "runtime/setting_keys.hpp"

namespace keyshard {

/// One key, wherever it may stand.
struct ReferenceEntry {
  const KeyMeaning* key = nullptr;  ///< borrowed, static
  std::vector<std::string> paths;   ///< as "embedding.dim", "tables.NAME.dim", "data.columns.role"
  std::string type;                 ///< with bounds, or the legal words
  std::string otherwise;            ///< the default, or an example
  std::string only;                 ///< under which words of another key it is read; empty: always
  std::string resume;               ///< what a change at a resume does
};

/// One kind of table.
struct ReferenceSection {
  const KeyTable* table = nullptr;  ///< borrowed, static
  std::vector<std::string> paths;   ///< of the tables of this kind; "": the configuration itself
  std::vector<ReferenceEntry> entries;
};

struct KeyReference {
  std::vector<ReferenceSection> sections;
  /// Keys that are read and not described, or the other way round: faults of this program.
  std::vector<std::string> faults;

  /// The page docs/configuration.md.
  std::string markdown() const;
  /// The entries of a key ("job.seed"), of all keys of that name ("seed"), or of a table ("job").
  /// Throws Error{invalid_argument} with the nearest key where there is none.
  std::string explain(std::string_view key) const;
};

/// The reference of these keys.
KeyReference make_key_reference(const FoundKeys& found);

}  // namespace keyshard
