#include "launch/bench/table_calls_impl.hpp"
#include "runtime/hash.hpp"

namespace keyshard {

Key table_key(std::int64_t i) { return mix64((Key{1} << 40) + static_cast<Key>(i)); }

template class TableCalls<Cpu>;

}  // namespace keyshard
