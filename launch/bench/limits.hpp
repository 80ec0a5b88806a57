// What the measures of any device stand beside in the same run: a copy, and rows that are read or
// changed at drawn places, by nothing but one launch.
#pragma once

#include <cstdint>

#include "runtime/buffer.hpp"

namespace keyshard {

/// Calls of a measure that are prepared, and taken in turn: together they touch more memory than
/// caches hold.
inline constexpr std::int64_t kPreparedCalls = 8;

/// Rows of zeros on a device, and calls of some of them.
template <Backend B>
class RowLimit {
 public:
  /// `rows` rows of `dim` floats, `call` of them in each call; a call has a row once at most.
  RowLimit(Stream<B>& stream, std::int64_t rows, std::int64_t dim, std::int64_t call);

  /// Adds up the numbers of each row: 4 dim bytes read where the row lies, 4 bytes written in
  /// order.
  void sum(std::int64_t step);
  /// Copies each row: 4 dim bytes read where the row lies, and written in order.
  void gather(std::int64_t step);
  /// Adds ones, which are read, to each row: 4 dim bytes read in order, and 4 dim read and written
  /// where the row lies.
  void add(std::int64_t step);

  // For tests.

  /// What `sum` [call] or `gather` [call x dim] wrote last.
  Span<const float> out() const { return out_.span(); }

  /// [kPreparedCalls x call] rows of the calls.
  Span<const std::uint32_t> which() const { return which_.span(); }

 private:
  const std::uint32_t* which(std::int64_t step) const {
    return which_.data() + step % kPreparedCalls * call_;
  }

  Stream<B>& stream_;
  std::int64_t dim_;
  std::int64_t call_;
  Buffer<std::uint32_t, B> which_;
  Buffer<float, B> rows_;
  Buffer<float, B> out_;
  Buffer<float, B> terms_;
};

/// A copy of bytes inside a device.
template <Backend B>
class CopyLimit {
 public:
  /// Moves `bytes` bytes: half of them are read, half of them written.
  CopyLimit(Stream<B>& stream, std::int64_t bytes);

  void copy();

 private:
  Stream<B>& stream_;
  Buffer<std::uint32_t, B> from_, to_;
};

}  // namespace keyshard
