#include "launch/printable.hpp"

#include <cstddef>

#include <fmt/format.h>

namespace keyshard {
namespace {

/// Bytes of the character that begins with `first`; 0: none begins with it. Of two bytes only those
/// from U+00A0 on count, for U+0080 to U+009F are control characters (checked below).
std::size_t length_by(unsigned char first) {
  return first < 0x80   ? 1
         : first < 0xc2 ? 0
         : first < 0xe0 ? 2
         : first < 0xf0 ? 3
         : first < 0xf5 ? 4
                        : 0;
}

/// Bytes of the character at the start of a text that can be shown; 0 where the first byte cannot.
std::size_t shown_bytes(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = length_by(at(0));
  if (length == 1) {
    return at(0) >= 0x20 && at(0) != 0x7f ? 1 : 0;
  }
  if (length == 0 || length > text.size()) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  const bool control = at(0) == 0xc2 && at(1) < 0xa0;
  const bool too_long = (at(0) == 0xe0 && at(1) < 0xa0) || (at(0) == 0xf0 && at(1) < 0x90);
  const bool beyond = (at(0) == 0xed && at(1) >= 0xa0) || (at(0) == 0xf4 && at(1) >= 0x90);
  return control || too_long || beyond ? 0 : length;
}

}  // namespace

std::string printable(std::string_view line) {
  std::string shown;
  while (!line.empty()) {
    const std::size_t length = shown_bytes(line);
    if (length > 0) {
      shown += line.substr(0, length);
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(line[0]));
    }
    line.remove_prefix(length > 0 ? length : 1);
  }
  return shown;
}

}  // namespace keyshard
