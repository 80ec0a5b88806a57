#include "launch/bench/limits_impl.hpp"
#include "runtime/for_each_cuda.hpp"

namespace keyshard {

template class RowLimit<Cuda>;
template class CopyLimit<Cuda>;

}  // namespace keyshard
