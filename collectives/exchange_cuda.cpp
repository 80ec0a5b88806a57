// Exchange on the memory of a CUDA device.
#include "collectives/exchange_impl.hpp"

namespace keyshard {

template class Exchange<Cuda>;

}  // namespace keyshard
