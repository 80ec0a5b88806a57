// Folded sums on the memory of a CUDA device.
#include "collectives/folded_sum_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class FoldedSum<float, Cuda>;
template class FoldedSum<double, Cuda>;
template double folded_scalar(Communicator<Cuda>&, std::int64_t, const std::vector<double>&,
                              const std::vector<bool>&);

}  // namespace keyshard
