// The pooling of rows of doubles.
#pragma once

#include "embedding/lookup/double_bags.hpp"

namespace keyshard {

template <class C, class Team>
KEYSHARD_HD void PoolDoubleBags::pool(std::int64_t bag, const FeatureGroup& group,
                                      const DeliveredDoubles& out, const Team& team) const {
  const PoolBags& in = of_floats;
  const PoolBags::Place place = in.place_of(bag);
  const std::int64_t begin = in.bags.begin(bag), n = in.bags.size(bag);
  const std::int64_t dim = numbers_in<double>(group.dim);
  if (n == 0) {
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      out[d] = double_empty(group.empty);
    }
    return;
  }
  const auto run = [&](auto size) {
    PoolBag<C, kLaneColumns<Team>, decltype(size), DeliveredDoubles>{
        .bag = {in.rows, in.items + begin, TakesWeights<C> ? in.weights.of_ids + begin : nullptr,
                n},
        .size = size,
        .row_offset = numbers_in<double>(group.offset),
        .dim = dim,
        .shards = in.shape.features[place.feature].by_shard ? in.shards : nullptr,
        .kept = kept_states<typename C::State>(in.kept, in.kept_bytes, place.sample, group),
        .out = out}(team);
  };
  if constexpr (TakesWeights<C>) {
    run(bag_weights[bag]);
  } else {
    run(n);
  }
}

template <class Team>
KEYSHARD_HD void PoolDoubleBags::operator()(std::int64_t bag, const Team& team) const {
  const PoolBags& in = of_floats;
  const PoolBags::Place place = in.place_of(bag);
  for (std::int64_t g = 0; g < in.shape.num_groups; ++g) {
    const FeatureGroup& group = in.shape.groups[place.feature * in.shape.num_groups + g];
    const DeliveredDoubles out{in.pooled[g].row(place.sample) + group.column,
                               in.shape.features[place.feature].narrows};
    with_alternative<BagCombinersOf<double>>(
        group.double_kind, [&](auto c) { pool<decltype(c)>(bag, group, out, team); });
  }
}

}  // namespace keyshard
