// The three generic kernels, and for_each, for_each_row and for_each_run of a CUDA device, which
// launch them: the only place where kernels are launched.
#pragma once

#include <cstdint>

#include <cooperative_groups.h>
#include <cuda_runtime_api.h>

#include "runtime/copy.hpp"
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

/// body(i, team) for the indices of [0, n) that fall to this team of Width lanes.
template <int Width, class Body>
__device__ void for_team_rows(std::int64_t n, const Body& body) {
  const auto team =
      cooperative_groups::tiled_partition<Width>(cooperative_groups::this_thread_block());
  const std::int64_t teams = static_cast<std::int64_t>(gridDim.x) * (blockDim.x / Width);
  const std::int64_t first =
      static_cast<std::int64_t>(blockIdx.x) * (blockDim.x / Width) + threadIdx.x / Width;
  for (std::int64_t i = first; i < n; i += teams) {
    body(i, team);
  }
}

template <int Width, class F>
__global__ void for_each_row_kernel(std::int64_t n, F functor) {
  for_team_rows<Width>(n, [&](std::int64_t i, const auto& team) { call_row(functor, i, team); });
}

/// starts [runs + 1] on the device.
template <int Width, class F>
__global__ void for_each_run_kernel(const std::int64_t* starts, std::int64_t runs, F functor) {
  for_team_rows<Width>(starts[runs], [&](std::int64_t i, const auto& team) {
    call_run(functor, starts, runs, i, team);
  });
}

inline constexpr int kBlockThreads = 256;

/// Lanes that share a row: as the functor says, or a warp.
template <class F>
constexpr int team_width() {
  if constexpr (requires { F::kTeamWidth; }) {
    return F::kTeamWidth;
  } else {
    return 32;
  }
}

/// The CUDA stream of a stream. Only declared, as Stream<Cuda> is.
cudaStream_t cuda_stream(Stream<Cuda>& stream);

/// Blocks for `n` indices of `threads` threads each, at most kMost: the kernels stride over the
/// rest.
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
  constexpr int kWidth = team_width<F>();
  if (n > 0) {
    for_each_row_kernel<kWidth, F>
        <<<grid_of(n, kWidth), kBlockThreads, 0, cuda_stream(stream)>>>(n, functor);
  }
}

template <class F>
void for_each_run(Stream<Cuda>& stream, Span<const std::int64_t> starts, const F& functor) {
  constexpr int kWidth = team_width<F>();
  const std::int64_t runs = starts.size() - 1, n = starts[runs];
  if (n > 0) {
    Buffer<std::int64_t, Cuda> storage;
    const std::int64_t* device_starts = device_view(stream, starts, storage);
    for_each_run_kernel<kWidth, F><<<grid_of(n, kWidth), kBlockThreads, 0, cuda_stream(stream)>>>(
        device_starts, runs, functor);
  }
}

}  // namespace keyshard
