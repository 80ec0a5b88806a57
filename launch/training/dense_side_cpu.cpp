// The dense side on host memory.
#include "launch/training/dense_side_impl.hpp"

namespace keyshard {

template class DenseSide<Cpu>;

}  // namespace keyshard
