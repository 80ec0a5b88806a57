// Memory of the host that a CUDA device copies from and to without a detour: for data that goes
// through the host again and again.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/portable.hpp"

namespace keyshard {

class PinnedMemory {
 public:
  PinnedMemory() = default;
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  /// `bytes` bytes. They may move where more are asked for than ever before, and lose their content
  /// then; no copy that uses them may be under way. Throws Error{out_of_memory}, Error{device}.
  Span<std::byte> room(std::int64_t bytes);

 private:
  std::byte* data_ = nullptr;
  std::int64_t bytes_ = 0;
};

}  // namespace keyshard
