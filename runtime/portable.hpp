// What a functor needs to compile for a host and for a device: every type has one definition,
// whatever the compiler, so that two halves of one program cannot disagree on a type.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

/// Marks a function that runs on the host and on the device. A qualifier may depend on the
/// compiler; a type may not.
#ifdef __CUDACC__
#define KEYSHARD_HD __host__ __device__
#else
#define KEYSHARD_HD
#endif

/// A function of the innermost loops, to be expanded where it is called.
#define KEYSHARD_INLINE [[gnu::always_inline]] inline

/// A function of rare cases, which is not to be expanded in the many functions that call it.
#ifdef __CUDACC__
#define KEYSHARD_NOINLINE __noinline__
#else
#define KEYSHARD_NOINLINE [[gnu::noinline]]
#endif

/// Says that what a pointer parameter points to is reached by no other parameter.
#define KEYSHARD_RESTRICT __restrict__

namespace keyshard {

/// Whether code is compiled for the host: what a device cannot have, such as a function of the
/// program, costs it no registers behind `if constexpr (kHostCode)`.
#ifdef __CUDA_ARCH__
inline constexpr bool kHostCode = false;
#else
inline constexpr bool kHostCode = true;
#endif

/// A key (id) of a table: every 64-bit value is legal.
using Key = std::uint64_t;

/// A row of a table on one rank. Stable while the table grows.
using RowId = std::uint32_t;
inline constexpr RowId kNoRow = 0xFFFFFFFFu;

template <class T>
class Span;

/// Arrays, vectors and other spans whose elements may be seen as elements of type T.
template <class Range, class T>
concept RangeOf = !std::same_as<std::remove_cv_t<Range>, Span<T>> &&
                  std::constructible_from<std::span<T>, Range&>;

/// Borrowed contiguous elements, counted and indexed by signed numbers as everything here is.
/// Functors hold plain pointers.
template <class T>
class Span : public std::span<T> {
 public:
  constexpr Span() noexcept = default;

  template <std::integral Size>
  constexpr Span(T* data, Size size) : std::span<T>(data, static_cast<std::size_t>(size)) {}

  template <RangeOf<T> Range>
  constexpr Span(Range& range) : std::span<T>(range) {}

  /// A span over a temporary is good only during the call that the temporary is an argument of.
  template <class Range, class = std::enable_if_t<RangeOf<const Range, T>>>
  constexpr Span(const Range& range) : std::span<T>(range) {}

  constexpr std::int64_t size() const noexcept {
    return static_cast<std::int64_t>(std::span<T>::size());
  }

  constexpr T& operator[](std::int64_t i) const { return this->data()[i]; }

  constexpr Span subspan(std::int64_t begin, std::int64_t count) const {
    return {this->data() + begin, count};
  }

  constexpr Span subspan(std::int64_t begin) const { return subspan(begin, size() - begin); }

  constexpr Span first(std::int64_t count) const { return subspan(0, count); }
};

}  // namespace keyshard
