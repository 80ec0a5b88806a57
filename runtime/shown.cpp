#include "runtime/shown.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

namespace keyshard {
namespace {

constexpr std::size_t kMostCharacters = 100;
constexpr std::string_view kDots = "...";

bool continues(unsigned char byte) { return (byte & 0xC0) == 0x80; }

/// Bytes of the character that begins `bytes`; 0 where that is no UTF-8, or is a control character.
std::size_t printable_bytes(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (byte(0) < 0x80) {
    return byte(0) >= 0x20 && byte(0) != 0x7F ? 1 : 0;
  }
  const std::size_t size = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || bytes.size() < size) {
    return 0;
  }
  std::uint32_t code = byte(0) & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!continues(byte(i))) {
      return 0;
    }
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  const bool whole = size == 2   ? code >= 0xA0
                     : size == 3 ? code >= 0x800 && (code < 0xD800 || code > 0xDFFF)
                                 : code >= 0x10000 && code <= 0x10FFFF;
  // What turns the direction of a line, or begins a new one, is a control character as well.
  const bool steers = (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return whole && !steers ? size : 0;
}

/// The first character of `bytes` as it can be shown. `size` gets its bytes, `width` its
/// characters.
std::string first_shown(std::string_view bytes, std::size_t& size, std::size_t& width) {
  size = printable_bytes(bytes.substr(0, 4));
  std::string text = size > 0 ? std::string(bytes.substr(0, size))
                              : fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
  width = size > 0 ? 1 : text.size();
  size = std::max<std::size_t>(size, 1);
  return text;
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string text;
  for (std::size_t size = 0, width = 0; !bytes.empty(); bytes.remove_prefix(size)) {
    text += first_shown(bytes, size, width);
  }
  return text;
}

std::string shown(std::string_view bytes) {
  std::string text;
  std::size_t characters = 0;
  std::size_t cut = 0;  // of `text`, where the dots still fit
  for (std::size_t size = 0, width = 0; !bytes.empty(); bytes.remove_prefix(size)) {
    text += first_shown(bytes, size, width);
    characters += width;
    if (characters > kMostCharacters) {
      return text.substr(0, cut).append(kDots);
    }
    cut = characters + kDots.size() <= kMostCharacters ? text.size() : cut;
  }
  return text;
}

}  // namespace keyshard
