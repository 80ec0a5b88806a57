#include "embedding/lookup/double_bags_impl.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

void pool_double_bags(Stream<Cpu>& stream, std::int64_t bags, const PoolDoubleBags& pool) {
  for_each_row(stream, bags, pool);
}

void sum_double_keys(Stream<Cpu>& stream, Span<const std::int64_t> blocks,
                     const SumKeys<double>& sums) {
  for_each_run(stream, blocks, sums);
}

void fold_double_keys(Stream<Cpu>& stream, Span<const std::int64_t> starts,
                      const FoldKeys<double>& folds) {
  for_each_run(stream, starts, folds);
}

}  // namespace keyshard
