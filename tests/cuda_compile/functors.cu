// Instantiates the functors of rows in kernels at team widths 8 and 32, so that nvcc and ptxas
// accept them for a GPU whatever width a launch takes.
#include "embedding/layers/reduce_axis.hpp"
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/fold_functors.hpp"
#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/lookup/owner_impl.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/table_impl.hpp"
#include "embedding/rows/table_step_impl.hpp"
#include "runtime/for_each_cuda.cuh"
#include "runtime/primitives.hpp"

namespace keyshard {

template <class F>
void rows() {
  for_each_row_kernel<8, F><<<1, 32>>>(1, F{});
  for_each_row_kernel<32, F><<<1, 32>>>(1, F{});
}

template <class F>
void runs() {
  for_each_run_kernel<8, F><<<1, 32>>>(nullptr, 1, F{});
  for_each_run_kernel<32, F><<<1, 32>>>(nullptr, 1, F{});
}

/// ReduceAxis and its gradient for every alternative of a variant.
template <class Variant>
struct Reductions;

template <class... C>
struct Reductions<std::variant<C...>> {
  void all() { ((rows<ReduceAxis<C>>(), rows<ReduceAxisGradient<C>>()), ...); }
};

/// Functors of runs bring those of their rows with them, for every rule of every family.
void everything() {
  rows<AssignRow>();
  rows<WriteBackRow>();
  rows<PoolBags>();
  rows<MergeBags>();
  rows<ReduceParts>();
  rows<WriteBacks>();
  runs<FindRows>();
  runs<ReadRows>();
  runs<LocateRows>();
  runs<InitializeRows>();
  runs<JoinCalls>();
  runs<SumCalls>();
  runs<UpdateRows>();
  runs<AnswerRows>();
  runs<UnpackRows>();
  runs<SumKeys>();
  runs<FoldKeys>();
  Reductions<Combiner>().all();
}

}  // namespace keyshard
