// Folded sums on host memory.
#include "collectives/folded_sum_impl.hpp"

namespace keyshard {

template class FoldedSum<float, Cpu>;
template class FoldedSum<double, Cpu>;
template double folded_scalar(Communicator<Cpu>&, std::int64_t, const std::vector<double>&,
                              const std::vector<bool>&);

}  // namespace keyshard
