// The two generic kernels: the only place where kernels are launched.
#pragma once

#include <cstdint>

#include <cooperative_groups.h>

namespace keyshard {

template <class F>
__global__ void for_each_kernel(std::int64_t n, F functor) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    functor(i);
  }
}

template <int Width, class F>
__global__ void for_each_row_kernel(std::int64_t n, F functor) {
  const auto team =
      cooperative_groups::tiled_partition<Width>(cooperative_groups::this_thread_block());
  const std::int64_t teams = static_cast<std::int64_t>(gridDim.x) * (blockDim.x / Width);
  const std::int64_t first =
      static_cast<std::int64_t>(blockIdx.x) * (blockDim.x / Width) + threadIdx.x / Width;
  for (std::int64_t i = first; i < n; i += teams) {
    functor(i, team);
  }
}

}  // namespace keyshard
