#include "embedding/lookup/lookup_impl.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template class PreparedLookup<Cuda>;
template class LookupTrace<Cuda>;
template class Lookup<Cuda>;

}  // namespace keyshard
