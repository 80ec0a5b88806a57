#include "launch/bench/cuda_bench.hpp"
#include "runtime/error.hpp"

namespace keyshard {

void bench_on_cuda(const Device& /*device*/, BenchContext& /*context*/,
                   const std::vector<std::string>& /*names*/) {
  fail(Kind::not_built, "expected a program with CUDA: this one was built without the toolkit");
}

}  // namespace keyshard
