#include "io/text_marks.hpp"

#include "runtime/portable.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace keyshard {
namespace {

void find_plainly(std::string_view piece, char separator, TextMarks& marks) {
  marks.separators = 0;
  marks.quotes = false;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    if (piece[i] == separator) {
      marks.at[marks.separators++] = static_cast<std::uint16_t>(i);
    }
    marks.quotes |= piece[i] == '"';
  }
}

#if defined(__x86_64__)
constexpr std::size_t kBytes = 64;

/// Adds the places of the bits that are set: those of bytes from `begin` on.
KEYSHARD_INLINE void add_places(std::uint64_t bits, std::size_t begin, TextMarks& marks) {
  std::size_t n = marks.separators;
  for (; bits != 0; bits &= bits - 1) {
    marks.at[n++] =
        static_cast<std::uint16_t>(begin + static_cast<std::size_t>(__builtin_ctzll(bits)));
  }
  marks.separators = n;
}

/// A bit for each of 64 bytes that equals `byte`.
[[gnu::target("avx2")]] inline std::uint64_t equal_bits(const char* bytes, __m256i byte) {
  const auto bits_of = [](const char* half, __m256i value) __attribute__((target("avx2"))) {
    const __m256i read = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(half));
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(read, value)));
  };
  return bits_of(bytes, byte) | static_cast<std::uint64_t>(bits_of(bytes + kBytes / 2, byte)) << 32;
}

[[gnu::target("avx2,bmi,bmi2")]] void find_by_avx2(std::string_view piece, char separator,
                                                   TextMarks& marks) {
  marks.separators = 0;
  std::uint64_t quotes = 0;
  const __m256i separators = _mm256_set1_epi8(separator), quote = _mm256_set1_epi8('"');
  std::size_t at = 0;
  for (; at + kBytes <= piece.size(); at += kBytes) {
    add_places(equal_bits(piece.data() + at, separators), at, marks);
    quotes |= equal_bits(piece.data() + at, quote);
  }
  if (const std::size_t rest = piece.size() - at; rest > 0) {
    std::array<char, kBytes> copy{};
    for (std::size_t i = 0; piece.size() < kBytes && i < rest; ++i) {
      copy[i] = piece[at + i];
    }
    // The last 64 bytes, without those that were looked at before.
    const bool whole = piece.size() >= kBytes;
    const char* const last = whole ? piece.data() + piece.size() - kBytes : copy.data();
    const std::uint64_t bits = equal_bits(last, separators);
    const std::uint64_t valid = ~std::uint64_t{0} >> (kBytes - rest);
    add_places((whole ? bits >> (kBytes - rest) : bits) & valid, at, marks);
    quotes |= whole ? equal_bits(last, quote) : equal_bits(last, quote) & valid;
  }
  marks.quotes = quotes != 0;
}

[[gnu::target("avx512bw,bmi,bmi2")]] void find_by_avx512(std::string_view piece, char separator,
                                                         TextMarks& marks) {
  marks.separators = 0;
  std::uint64_t quotes = 0;
  const __m512i separators = _mm512_set1_epi8(separator), quote = _mm512_set1_epi8('"');
  for (std::size_t at = 0; at < piece.size(); at += kBytes) {
    const std::size_t rest = piece.size() - at;
    const std::uint64_t valid =
        rest >= kBytes ? ~std::uint64_t{0} : ~std::uint64_t{0} >> (kBytes - rest);
    const __m512i read = _mm512_maskz_loadu_epi8(valid, piece.data() + at);
    add_places(_mm512_mask_cmpeq_epi8_mask(valid, read, separators), at, marks);
    quotes |= _mm512_mask_cmpeq_epi8_mask(valid, read, quote);
  }
  marks.quotes = quotes != 0;
}
#endif

}  // namespace

MarkFinder mark_finder(MarkVectors vectors) {
  if (vectors == MarkVectors::none) {
    return find_plainly;
  }
#if defined(__x86_64__)
  const bool bits = __builtin_cpu_supports("bmi") > 0 && __builtin_cpu_supports("bmi2") > 0;
  if (vectors == MarkVectors::avx2 && bits && __builtin_cpu_supports("avx2") > 0) {
    return find_by_avx2;
  }
  if (vectors == MarkVectors::avx512 && bits && __builtin_cpu_supports("avx512bw") > 0) {
    return find_by_avx512;
  }
#endif
  return nullptr;
}

MarkFinder best_mark_finder() {
  for (const MarkVectors vectors : {MarkVectors::avx512, MarkVectors::avx2}) {
    if (const MarkFinder finder = mark_finder(vectors)) {
      return finder;
    }
  }
  return find_plainly;
}

}  // namespace keyshard
