#include "launch/bench/sparse_step_impl.hpp"

namespace keyshard {

Optimizer bench_adagrad() { return Adagrad{0.05f, 0, 1e-7f, true}; }

Optimizer bench_rowwise_adagrad() { return RowwiseAdagrad{0.05f, 0, 1e-7f}; }

template void fill_rows(Stream<Cpu>&, Table<Cpu>&, Span<const Key>);
template class SparseStep<Cpu>;

}  // namespace keyshard
