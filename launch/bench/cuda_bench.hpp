// The measures of any device on a CUDA device. A build without the CUDA toolkit defines the
// function in cuda_absent.cpp.
#pragma once

#include <string>
#include <vector>

#include "launch/bench/context.hpp"
#include "launch/training/training.hpp"

namespace keyshard {

/// run_device_measures on a queue of that device. Throws Error{not_built} where the program was
/// built without CUDA.
void bench_on_cuda(const Device& device, BenchContext& context,
                   const std::vector<std::string>& names);

}  // namespace keyshard
