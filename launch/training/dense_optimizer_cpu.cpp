// The optimizer of the dense parameters on host memory.
#include "launch/training/dense_optimizer_impl.hpp"

namespace keyshard {

template class DenseOptimizer<Cpu>;

}  // namespace keyshard
