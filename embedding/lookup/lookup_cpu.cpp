#include "embedding/lookup/lookup_impl.hpp"

namespace keyshard {

template class PreparedLookup<Cpu>;
template class LookupTrace<Cpu>;
template class Lookup<Cpu>;

}  // namespace keyshard
