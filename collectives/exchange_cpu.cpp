// Exchange on host memory.
#include "collectives/exchange_impl.hpp"

namespace keyshard {

template class Exchange<Cpu>;

}  // namespace keyshard
