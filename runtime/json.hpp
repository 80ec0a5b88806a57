// JSON to and from a tree of values: manifests and metrics (the one home of nlohmann-json).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// The tree as JSON, keys in their order; numbers come back as they were. NaN and infinities become
/// null. One line, or indented.
std::string json_text(const SettingValue& tree, bool indented = false);

/// Reads JSON; a null becomes std::monostate. Throws Error{corrupt_data} with `place` and the
/// position in the text where the text is no JSON, has a member of an object twice, or has more
/// than 100 values inside one another.
SettingValue parse_json(const std::string& text, const std::string& place);

/// Returns the next piece of a text, which stays until the next call; empty at the end of the text.
using TextSource = std::function<Span<const char>()>;

/// How a long text is read in little memory: the entries of some lists are taken one by one.
struct JsonParts {
  /// Members of the root, each a list whose entries are taken; the tree has them without entries.
  std::vector<std::string> lists;
  /// Takes an entry of a list as soon as the entry ends, and returns how many values the taker
  /// keeps of it. `root` has the members in front of the list, and last the list.
  std::function<std::int64_t(const SettingValue& root, const SettingValue& entry)> take;
  /// The most values at once: those of the tree, of the entry that is being read, and those that
  /// were kept. Each costs 72 to `kBytesOfValue` bytes of memory. Texts and names count one value
  /// more for every `kLettersOfValue` letters: while it reads a text, the parser has it three
  /// times.
  std::int64_t most_values = 0;
};

inline constexpr std::int64_t kBytesOfValue = 104;
inline constexpr std::int64_t kLettersOfValue = 32;

/// Reads JSON as parse_json does; the values have no place. Refuses more than `most_values`; what
/// is read of `text` beyond them is a piece or two.
SettingValue parse_json_in_parts(const TextSource& text, const std::string& place,
                                 const JsonParts& parts);

}  // namespace keyshard
