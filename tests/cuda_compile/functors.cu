// Instantiates the functors in kernels at team widths 1, 8 and 32, so that nvcc and ptxas accept
// them for a GPU.
#include "embedding/lookup/bag_functors.hpp"
#include "embedding/lookup/bag_part.hpp"
#include "embedding/lookup/gradient_functors.hpp"
#include "embedding/rules/partitioners.hpp"
#include "embedding/layers/reduce_axis.hpp"
#include "embedding/rows/row_functors.hpp"
#include "runtime/for_each_cuda.cuh"
#include "runtime/primitives.hpp"

namespace keyshard {

template <class F>
__global__ void solo_kernel(std::int64_t n, F functor) {
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < n;
       i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
    functor(i, Solo{});
  }
}

template <class F>
void instantiate(F functor) {
  solo_kernel<F><<<1, 32>>>(1, functor);
  for_each_row_kernel<8, F><<<1, 32>>>(1, functor);
  for_each_row_kernel<32, F><<<1, 32>>>(1, functor);
}

template <class... F>
void instantiate_all() {
  (instantiate(F{}), ...);
}

template <class C>
void combiner() {
  instantiate_all<PoolBag<C, 1>, MergeParts<C, 1>, ReducePart<C, 1>, ReduceAxis<C>,
                  ReduceAxisGradient<C>>();
}

struct NumberOf {
  const std::int64_t* numbers;

  KEYSHARD_HD std::int64_t operator()(std::int64_t k) const { return numbers[k]; }
};

struct TermOf {
  const float* terms;

  KEYSHARD_HD const float* operator()(std::int64_t k) const { return terms + k; }
};

void everything() {
  instantiate(FoldSegment<1, float, NumberOf, TermOf>{});
  instantiate_all<FindRow<HashPartitioner>, FindRow<ModuloPartitioner>>();
  instantiate_all<ReadRow<Constant>, ReadRow<ConstantVector>, ReadRow<Uniform>, ReadRow<Normal>,
                  ReadRow<TruncatedNormal>>();
  instantiate_all<InitializeRow<Constant>, InitializeRow<ConstantVector>, InitializeRow<Uniform>,
                  InitializeRow<Normal>, InitializeRow<TruncatedNormal>, InitializeState,
                  ShrinkRow>();
  instantiate_all<UpdateRow<Sgd>, UpdateRow<Momentum>, UpdateRow<Adagrad>,
                  UpdateRow<RowwiseAdagrad>, UpdateRow<Adam>, UpdateRow<Ftrl>>();
  instantiate_all<SumOccurrences<1>, FoldKey<1>>();
  combiner<Sum>();
  combiner<Mean>();
  combiner<SqrtN>();
  combiner<Min>();
  combiner<Max>();
}

}  // namespace keyshard
