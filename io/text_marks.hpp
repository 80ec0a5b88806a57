// Where separators stand in a piece of text, and whether quotes do: 64 bytes at a time where the
// processor compares vectors, which is asked when the program runs. All versions find the same; the
// plain one is the definition.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace keyshard {

/// Bytes of a piece at most.
inline constexpr std::size_t kMarkPiece = 1024;

/// What stands in a piece.
struct TextMarks {
  std::size_t separators = 0;
  bool quotes = false;                         ///< some byte is '"'
  std::array<std::uint16_t, kMarkPiece> at{};  ///< of each separator, ascending
};

/// Finds the marks of a piece of at most kMarkPiece bytes, and reads no byte outside it.
using MarkFinder = void (*)(std::string_view piece, char separator, TextMarks& marks);

enum class MarkVectors { none, avx2, avx512 };

/// The version for such vectors; null where this processor, or this build, has none.
MarkFinder mark_finder(MarkVectors vectors);

/// The version for the widest vectors of this processor.
MarkFinder best_mark_finder();

}  // namespace keyshard
