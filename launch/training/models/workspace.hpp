// Scratch memory of one task: the layers of a model take pieces of it, and `reset` takes all pieces
// back before the next group of slices. On a CPU all slices of a thread use the same memory, so
// that it stays in the cache.
#pragma once

#include <concepts>
#include <cstdint>
#include <vector>

#include "runtime/buffer.hpp"
#include "runtime/serial.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// numbers[i] = value.
struct FillNumbers {
  float* numbers;
  float value;

  KEYSHARD_HD void operator()(std::int64_t i) const { numbers[i] = value; }
};

template <Backend B>
class Workspace {
 public:
  /// Takes memory from the pool of `stream` when `floats` needs more. For one thread at a time.
  explicit Workspace(Stream<B>& stream) : stream_(stream) {}

  /// `size` uninitialised floats of the device, aligned to 64 bytes. Valid until `reset`.
  float* floats(std::int64_t size) {
    const std::int64_t padded = padded_row(size);
    while (block_ < blocks_.size() && used_ + padded > blocks_[block_].size()) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) {
      blocks_.emplace_back(stream_, padded > kBlockFloats ? padded : kBlockFloats);
    }
    float* result = blocks_[block_].data() + used_;
    used_ += padded;
    return result;
  }

  /// A matrix of which every row begins on 64 bytes.
  MatrixView<float> matrix(std::int64_t rows, std::int64_t cols) {
    const std::int64_t stride = padded_row(cols);
    return {floats(rows * stride), rows, cols, stride};
  }

  /// Scratch for a functor that works on `rows` rows: `cols` numbers for each row, 0 at first. On a
  /// CPU the rows of a task come one after another and share the scratch of one row: a row finds
  /// there what the row before has written.
  MatrixView<float> row_scratch(TaskQueue<B>& queue, std::int64_t rows, std::int64_t cols) {
    MatrixView<float> scratch{nullptr, rows, cols, std::same_as<B, Cpu> ? 0 : padded_row(cols)};
    const std::int64_t size = std::same_as<B, Cpu> ? cols : rows * scratch.stride;
    scratch.data = floats(size);
    for_each(queue, size, FillNumbers{scratch.data, 0.0f});
    return scratch;
  }

  /// Sixteen floats are 64 bytes.
  static std::int64_t padded_row(std::int64_t cols) { return (cols + 15) / 16 * 16; }

  /// Takes everything back.
  void reset() {
    block_ = 0;
    used_ = 0;
  }

 private:
  static constexpr std::int64_t kBlockFloats = std::int64_t{1} << 18;

  Stream<B>& stream_;
  std::vector<Buffer<float, B>> blocks_;
  std::size_t block_ = 0;
  std::int64_t used_ = 0;
};

}  // namespace keyshard
