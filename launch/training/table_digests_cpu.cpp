#include "launch/training/table_digests_impl.hpp"

namespace keyshard {

template std::vector<TableDigests> table_digests(const TableSet<Cpu>&, Stream<Cpu>&);
template Digest128 state_digest(const TableSet<Cpu>&, Stream<Cpu>&, std::int64_t,
                                const NamedDigests&);

}  // namespace keyshard
