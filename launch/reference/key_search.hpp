// Finds every key of a configuration by asking those who read it. A configuration with one column
// and one table is read again and again: with each word of each choice that a reader offers, and
// with the example of each key that is read only where it is given. What is asked on the way is the
// reference; no list of keys stands beside it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/setting_keys.hpp"

namespace keyshard {

/// How a key depends on the words of another key, the governor: what is asked of the key with each
/// word; nothing with words under which the key is not read.
struct KeyVariation {
  std::string governor;  ///< full path
  std::vector<std::pair<std::string, std::optional<KeyQuestion>>> by_word;
};

/// All keys, by full path. The column is "data.columns[0]", the table "tables.NAME".
struct FoundKeys {
  KeyQuestions asked;
  std::map<std::string, std::vector<KeyVariation>> variations;
  std::set<std::string> only_given;  ///< keys that are read only where they are given
};

FoundKeys find_all_keys();

}  // namespace keyshard
