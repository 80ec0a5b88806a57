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
#include "runtime/primitives_cuda.hpp"

namespace keyshard {

template <class F>
void rows(Stream<Cuda>& stream) {
  launch(stream, 1, EachRow<8, F>{});
  launch(stream, 1, EachRow<32, F>{});
}

template <class F>
void runs(Stream<Cuda>& stream) {
  launch(stream, 1, EachRowOfRuns<8, F>{});
  launch(stream, 1, EachRowOfRuns<32, F>{});
}

/// ReduceAxis and its gradient for every alternative of a variant.
template <class Variant>
struct Reductions;

template <class... C>
struct Reductions<std::variant<C...>> {
  void all(Stream<Cuda>& stream) {
    ((rows<ReduceAxis<C>>(stream), rows<ReduceAxisGradient<C>>(stream)), ...);
  }
};

/// Functors of runs bring those of their rows with them, for every rule of every family.
void everything(Stream<Cuda>& stream) {
  rows<AssignRow>(stream);
  rows<WriteBackRow>(stream);
  rows<PoolBags>(stream);
  rows<MergeBags>(stream);
  rows<ReduceParts>(stream);
  rows<WriteBacks>(stream);
  runs<FindRows>(stream);
  runs<ReadRows>(stream);
  runs<LocateRows>(stream);
  runs<InitializeRows>(stream);
  runs<JoinCalls>(stream);
  runs<SumCalls>(stream);
  runs<UpdateRows>(stream);
  runs<AnswerRows>(stream);
  runs<UnpackRows>(stream);
  runs<SumKeys>(stream);
  runs<FoldKeys>(stream);
  Reductions<Combiner>().all(stream);
}

}  // namespace keyshard
