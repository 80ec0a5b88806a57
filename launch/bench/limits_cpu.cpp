#include "launch/bench/limits_impl.hpp"

namespace keyshard {

template class RowLimit<Cpu>;
template class CopyLimit<Cpu>;

}  // namespace keyshard
