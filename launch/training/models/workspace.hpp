// Scratch of one thread for the slices that it takes: memory is handed out step by step and taken
// back all at once, and is the same memory for every slice, so that it stays in the cache.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "runtime/buffer.hpp"
#include "runtime/view.hpp"

namespace keyshard {

class Workspace {
 public:
  /// Takes its memory from the pool of `stream`, as it needs it. One thread at a time.
  explicit Workspace(Stream<Cpu>& stream) : stream_(stream) {}

  /// `size` uninitialised floats, aligned to 64 bytes. Valid until `reset`.
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

  /// Takes everything back.
  void reset() {
    block_ = 0;
    used_ = 0;
  }

 private:
  static constexpr std::int64_t kBlockFloats = std::int64_t{1} << 18;

  /// Sixteen floats are 64 bytes.
  static std::int64_t padded_row(std::int64_t cols) { return (cols + 15) / 16 * 16; }

  Stream<Cpu>& stream_;
  std::vector<Buffer<float, Cpu>> blocks_;
  std::size_t block_ = 0;
  std::int64_t used_ = 0;
};

}  // namespace keyshard
