#include <algorithm>

#include "runtime/cuda_call.hpp"
#include "runtime/memory_pool.hpp"
#include "runtime/pinned_memory.hpp"

namespace keyshard {

PinnedMemory::~PinnedMemory() { cudaFreeHost(data_); }

Span<std::byte> PinnedMemory::room(std::int64_t bytes) {
  if (bytes > bytes_) {
    const std::int64_t more = std::max(bytes, bytes_ + bytes_ / 2);
    check_cuda(cudaFreeHost(data_), "cudaFreeHost");
    data_ = nullptr;
    bytes_ = 0;
    data_ = static_cast<std::byte*>(map_host_memory<Cuda>(static_cast<std::size_t>(more)));
    bytes_ = more;
  }
  return {data_, bytes};
}

}  // namespace keyshard
