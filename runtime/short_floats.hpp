// Floats of 16 bits: float16 (IEEE 754 binary16: 5 bits of exponent, 10 of fraction) and bfloat16
// (the upper half of a float: 8 and 7). Numbers are kept in them and computed with as floats. Both
// conversions are bit arithmetic and one exact sum, so they give the same bits on every machine,
// and loops over them become vector instructions.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "runtime/portable.hpp"

namespace keyshard {

/// `yes` where `condition`, else `no`; both are computed, so that there is no jump.
KEYSHARD_HD KEYSHARD_INLINE std::uint32_t chosen(bool condition, std::uint32_t yes,
                                                 std::uint32_t no) {
  const std::uint32_t mask = condition ? ~std::uint32_t{0} : 0;
  return (yes & mask) | (no & ~mask);
}

#if defined(__AVX2__) && defined(__F16C__) && !defined(__CUDACC__)
/// Eight numbers at once. The instructions are called by their built-in names: where this header
/// included <immintrin.h>, g++ 12 made no vector instructions of the loops of min and max
/// (embedding/lookup/bag_functors.hpp), which then took 1.8 times as long.
#define KEYSHARD_EIGHT_FLOATS
using EightFloats [[gnu::vector_size(32)]] = float;
using EightWords [[gnu::vector_size(32)]] = std::uint32_t;
using EightHalves [[gnu::vector_size(16)]] = std::uint16_t;
#endif

struct Float16 {
  /// The same number; a NaN becomes a quiet one, with its sign and the rest of its fraction.
  KEYSHARD_HD KEYSHARD_INLINE static float widen(std::uint16_t half) {
    const std::uint32_t shifted = (half & 0x7FFFu) << 13;
    const std::uint32_t normal = shifted + (112u << 23);
    const std::uint32_t nan = chosen(shifted > (31u << 23), 1u << 22, 0);
    const std::uint32_t special = shifted | (0xFFu << 23) | nan;  // infinity and NaN
    // A subnormal is fraction x 2^-24 = (2^-14 + fraction x 2^-24) - 2^-14, without a rounding.
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(shifted + (113u << 23)) - 0x1p-14f);
    std::uint32_t bits = chosen(shifted < (1u << 23), subnormal, normal);
    bits = chosen(shifted >= (31u << 23), special, bits);
    return std::bit_cast<float>(bits | ((half & 0x8000u) << 16));
  }

  /// The nearest number, of two equally near ones the even one; from 65520 on infinity. A NaN stays
  /// one, with its sign and the upper bits of its fraction.
  KEYSHARD_HD KEYSHARD_INLINE static std::uint16_t narrow(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), size = bits & 0x7FFFFFFFu;
    const std::uint32_t odd = (size >> 13) & 1u;
    const std::uint32_t normal = (size - (112u << 23) + 0xFFFu + odd) >> 13;
    // In [0.5, 1) floats are multiples of 2^-24, as subnormals of this type are: the sum rounds.
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - (126u << 23);
    const std::uint32_t nan = 0x7E00u | ((size >> 13) & 0x3FFu);
    std::uint32_t half = chosen(size < (113u << 23), subnormal, normal);
    half = chosen(size >= (143u << 23), 0x7C00u, half);
    half = chosen(size > (0xFFu << 23), nan, half);
    return static_cast<std::uint16_t>(half | ((bits >> 16) & 0x8000u));
  }

#ifdef KEYSHARD_EIGHT_FLOATS
  using Halves [[gnu::vector_size(16)]] = short;
  static constexpr int kNearest = 0;

  KEYSHARD_INLINE static EightFloats widen(EightHalves halves) {
    return __builtin_ia32_vcvtph2ps256(reinterpret_cast<Halves>(halves));
  }

  KEYSHARD_INLINE static EightHalves narrow(EightFloats floats) {
    return reinterpret_cast<EightHalves>(__builtin_ia32_vcvtps2ph256(floats, kNearest));
  }
#endif
};

struct Bfloat16 {
  /// The same number; a NaN keeps its sign and its fraction.
  KEYSHARD_HD KEYSHARD_INLINE static float widen(std::uint16_t half) {
    return std::bit_cast<float>(std::uint32_t{half} << 16);
  }

  /// The nearest number, of two equally near ones the even one. A NaN stays one, with its sign and
  /// the upper bits of its fraction.
  KEYSHARD_HD KEYSHARD_INLINE static std::uint16_t narrow(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), size = bits & 0x7FFFFFFFu;
    const std::uint32_t near = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    return static_cast<std::uint16_t>(chosen(size > (0xFFu << 23), (bits >> 16) | 0x40u, near));
  }

#ifdef KEYSHARD_EIGHT_FLOATS
  KEYSHARD_INLINE static EightFloats widen(EightHalves halves) {
    return reinterpret_cast<EightFloats>(__builtin_convertvector(halves, EightWords) << 16);
  }

  KEYSHARD_INLINE static EightHalves narrow(EightFloats floats) {
    const EightWords bits = reinterpret_cast<EightWords>(floats);
    const EightWords near = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    const EightWords nan = reinterpret_cast<EightWords>(floats != floats);
    return __builtin_convertvector((((bits >> 16) | 0x40u) & nan) | (near & ~nan), EightHalves);
  }
#endif
};

/// What is left of a row when its eights are done; not expanded where it is called.
template <class Short>
KEYSHARD_NOINLINE KEYSHARD_HD void widen_rest(std::int64_t n,
                                              const std::uint16_t* KEYSHARD_RESTRICT from,
                                              float* KEYSHARD_RESTRICT to) {
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] = Short::widen(from[i]);
  }
}

template <class Short>
KEYSHARD_NOINLINE KEYSHARD_HD void narrow_rest(std::int64_t n, const float* KEYSHARD_RESTRICT from,
                                               std::uint16_t* KEYSHARD_RESTRICT to) {
  for (std::int64_t i = 0; i < n; ++i) {
    to[i] = Short::narrow(from[i]);
  }
}

/// to [n] = the numbers `from` [n] of type `Short`, Float16 or Bfloat16; on one lane.
template <class Short>
KEYSHARD_HD KEYSHARD_INLINE void widen_all(std::int64_t n,
                                           const std::uint16_t* KEYSHARD_RESTRICT from,
                                           float* KEYSHARD_RESTRICT to) {
  std::int64_t i = 0;
#ifdef KEYSHARD_EIGHT_FLOATS
  for (; i + 8 <= n; i += 8) {
    EightHalves halves;
    std::memcpy(&halves, from + i, sizeof halves);
    const EightFloats floats = Short::widen(halves);
    std::memcpy(to + i, &floats, sizeof floats);
  }
#endif
  if (i < n) {
    widen_rest<Short>(n - i, from + i, to + i);
  }
}

/// to [n] = the numbers of type `Short` that are nearest to `from` [n]; on one lane.
template <class Short>
KEYSHARD_HD KEYSHARD_INLINE void narrow_all(std::int64_t n, const float* KEYSHARD_RESTRICT from,
                                            std::uint16_t* KEYSHARD_RESTRICT to) {
  std::int64_t i = 0;
#ifdef KEYSHARD_EIGHT_FLOATS
  for (; i + 8 <= n; i += 8) {
    EightFloats floats;
    std::memcpy(&floats, from + i, sizeof floats);
    const EightHalves halves = Short::narrow(floats);
    std::memcpy(to + i, &halves, sizeof halves);
  }
#endif
  if (i < n) {
    narrow_rest<Short>(n - i, from + i, to + i);
  }
}

}  // namespace keyshard
