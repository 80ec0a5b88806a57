#include <algorithm>

#include "runtime/cuda_call.hpp"
#include "runtime/pinned_memory.hpp"

namespace keyshard {

PinnedMemory::~PinnedMemory() { cudaFreeHost(data_); }

Span<std::byte> PinnedMemory::room(std::int64_t bytes) {
  if (bytes > bytes_) {
    const std::int64_t more = std::max(bytes, bytes_ + bytes_ / 2);
    check_cuda(cudaFreeHost(data_), "cudaFreeHost");
    data_ = nullptr;
    bytes_ = 0;
    void* block = nullptr;
    check_cuda(cudaMallocHost(&block, static_cast<std::size_t>(more)), "cudaMallocHost");
    data_ = static_cast<std::byte*>(block);
    bytes_ = more;
  }
  return {data_, bytes};
}

}  // namespace keyshard
