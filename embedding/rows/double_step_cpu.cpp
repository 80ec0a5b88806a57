#include "embedding/rows/double_step_impl.hpp"

namespace keyshard {

template void update_double_rows(Stream<Cpu>&, const TableRefs<Cpu>&, const DoubleSteps&,
                                 Span<const std::int64_t>);

}  // namespace keyshard
