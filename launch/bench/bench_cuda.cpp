// Compiled where there is a CUDA toolkit, by the compiler of the host: its kernels are those of the
// library and of limits_cuda.cpp.
#include "launch/bench/cuda_bench.hpp"
#include "launch/bench/device_measures_impl.hpp"
#include "launch/bench/sparse_step_impl.hpp"
#include "launch/bench/table_calls_impl.hpp"
#include "launch/training/cuda_rank.hpp"

namespace keyshard {

template class SparseStep<Cuda>;
template class TableCalls<Cuda>;

void bench_on_cuda(const Device& device, BenchContext& context,
                   const std::vector<std::string>& names) {
  Device alone = device;
  alone.shared = true;  // one rank exchanges nothing, so NCCL need not be there
  CudaRank rank(alone, context.communicator(), context.stream().threads().size());
  run_device_measures(
      BenchOn<Cuda>{context, *rank.communicator, rank.stream, context.command().sizes.dims}, names);
}

}  // namespace keyshard
