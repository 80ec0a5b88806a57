// The two generic kernels, and for_each and for_each_row of a CUDA device, which launch them: the
// only place where kernels are launched.
#pragma once

#include <cstdint>

#include <cooperative_groups.h>
#include <cuda_runtime_api.h>

#include "runtime/for_each.hpp"

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

inline constexpr int kBlockThreads = 256;
inline constexpr int kTeamWidth = 32;

/// The CUDA stream of a stream. Declared, as Stream<Cuda> is.
cudaStream_t cuda_stream(Stream<Cuda>& stream);

/// Blocks for `n` indices of `threads` threads each; a grid of the most blocks strides.
inline unsigned grid_of(std::int64_t n, std::int64_t threads) {
  constexpr std::int64_t kMost = 1 << 16;
  const std::int64_t blocks = (n * threads + kBlockThreads - 1) / kBlockThreads;
  return static_cast<unsigned>(blocks < kMost ? blocks : kMost);
}

template <class F>
void for_each(Stream<Cuda>& stream, std::int64_t n, const F& functor) {
  if (n > 0) {
    for_each_kernel<F><<<grid_of(n, 1), kBlockThreads, 0, cuda_stream(stream)>>>(n, functor);
  }
}

template <class F>
void for_each_row(Stream<Cuda>& stream, std::int64_t n, const F& functor) {
  if (n > 0) {
    for_each_row_kernel<kTeamWidth, F>
        <<<grid_of(n, kTeamWidth), kBlockThreads, 0, cuda_stream(stream)>>>(n, functor);
  }
}

}  // namespace keyshard
