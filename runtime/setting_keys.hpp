// What a configuration's keys mean, and what their readers ask of them: the two halves of a
// reference. A folder tells the meaning and the unit of each of its keys once, in a KeyTable, which
// the reader of the keys hands to Settings::describe. Type, default, bounds and legal words are in
// the calls that read the key, and are noted there.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

struct KeyMeaning {
  std::string_view key;
  std::string_view unit;     ///< of the value; empty where it has none
  std::string_view meaning;  ///< one sentence or more, without the full stop at its end
  /// A value as TOML. Of keys that are read only where they are given, which have no default.
  std::string_view example = "";
};

/// The keys of one kind of table of a configuration, in the order of a reference.
struct KeyTable {
  std::string_view title;
  std::string_view about;  ///< what holds for all of them; may be empty
  Span<const KeyMeaning> keys;
};

/// What a reader asks of one key.
struct KeyQuestion {
  std::string type;             ///< as "integer"; empty: only whether the key is given
  SettingValue otherwise = {};  ///< the default; nothing where there is none
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  std::vector<std::string> legal = {};  ///< words that a string may be; empty: any
};

/// What the readers of a configuration have asked and described, by full path.
struct KeyQuestions {
  std::map<std::string, KeyQuestion> keys;
  /// Each table of the configuration with what describes it, in the order of reading.
  std::vector<std::pair<std::string, const KeyTable*>> tables;
};

}  // namespace keyshard
