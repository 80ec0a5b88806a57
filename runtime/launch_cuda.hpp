// The one kernel of keyshard and the one place that launches it. The work of a launch is a functor
// of a block of lanes, with which every lane calls it. Under KEYSHARD_SIM each launch also names
// the host twin of the kernel: the same functor over simulated lanes (runtime/sim_block.hpp). Tests
// link doubles of the CUDA runtime, which run the twin, so that everything but the lanes is what a
// GPU runs; where there is no nvcc, g++ compiles the same sources for these tests.
#pragma once

#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#include <cooperative_groups.h>
#endif

#include "runtime/cuda_call.hpp"
#include "runtime/stream.hpp"
#ifdef KEYSHARD_SIM
#include "runtime/sim_block.hpp"
#endif

namespace keyshard {

inline constexpr int kBlockLanes = 256;

#ifdef __CUDACC__

/// The block of the calling lane of a GPU.
struct CudaBlock {
  __device__ std::int64_t index() const { return blockIdx.x; }

  __device__ std::int64_t blocks() const { return gridDim.x; }

  __device__ int lane() const { return static_cast<int>(threadIdx.x); }

  __device__ int lanes() const { return static_cast<int>(blockDim.x); }

  template <int W>
  __device__ auto team() const {
    return cooperative_groups::tiled_partition<W>(cooperative_groups::this_thread_block());
  }
};

/// A multiprocessor need not have room for more than one block: without this, ptxas would spill
/// registers of a large kernel to make room.
template <class Work>
__global__ void __launch_bounds__(kBlockLanes, 1) run_work(const Work work) {
  work(CudaBlock{});
}

#endif

#ifdef KEYSHARD_SIM

template <class Work>
void run_work_on_host(std::int64_t blocks, int lanes, const void* work) {
  sim::run_blocks(
      {blocks, lanes, sizeof(Work)},
      [](const void* copy) { (*static_cast<const Work*>(copy))(sim::Block{}); }, work);
}

#endif

/// Blocks of `kBlockLanes` lanes for `n` indices of `lanes` lanes each, at most kMost: the work
/// strides over the rest.
inline unsigned blocks_for(std::int64_t n, std::int64_t lanes) {
  constexpr std::int64_t kMost = 1 << 16;
  const std::int64_t blocks = (n * lanes + kBlockLanes - 1) / kBlockLanes;
  return static_cast<unsigned>(blocks < kMost ? blocks : kMost);
}

/// work(block) on every lane of `blocks` blocks, at least 1. Asynchronous on `stream`.
template <class Work>
void launch(Stream<Cuda>& stream, unsigned blocks, const Work& work) {
  static_assert(std::is_trivially_copyable_v<Work> && sizeof(Work) <= 4096,
                "parameters of a kernel");
  stream.begin_launch();
#ifdef __CUDACC__
#ifdef KEYSHARD_SIM
  sim::register_kernel(reinterpret_cast<const void*>(&run_work<Work>),
                       {&run_work_on_host<Work>, sizeof(Work)});
#endif
  run_work<Work><<<blocks, kBlockLanes, 0, stream.handle()>>>(work);
  check_cuda(cudaGetLastError(), "launch");
#else
  const auto* stub = reinterpret_cast<const void*>(&run_work_on_host<Work>);
  sim::register_kernel(stub, {&run_work_on_host<Work>, sizeof(Work)});
  void* arguments[] = {const_cast<Work*>(&work)};
  check_cuda(cudaLaunchKernel(stub, dim3(blocks), dim3(kBlockLanes), arguments, 0, stream.handle()),
             "launch");
#endif
}

}  // namespace keyshard
