// Features that send nothing back. Where other features train the same table, a lookup lists the
// table a second time for them, so that the keys of the two kinds travel apart: a key that only
// frozen features have asked for gets no gradient and no step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "embedding/lookup/feature.hpp"
#include "embedding/rows/table.hpp"

namespace keyshard {

/// Lists tables a second time where needed, at the end, and gives these places to the features that
/// are frozen. Returns for each place whether nothing is sent back to it.
template <Backend B>
std::vector<std::uint8_t> part_frozen(std::vector<Table<B>*>& tables,
                                      std::vector<FeatureOptions>& features) {
  const auto trains = [&](const FeatureOptions& feature) {
    return feature.trainable &&
           tables[static_cast<std::size_t>(feature.table)]->options().trainable;
  };
  const auto of_table = [](std::size_t table) {
    return [table](const FeatureOptions& feature) {
      return static_cast<std::size_t>(feature.table) == table;
    };
  };
  std::vector<std::uint8_t> frozen(tables.size());
  for (std::size_t t = 0, n = tables.size(); t < n; ++t) {
    const auto reads = of_table(t);
    std::size_t trained = 0, all = 0;
    for (const FeatureOptions& feature : features) {
      all += reads(feature) ? 1 : 0;
      trained += reads(feature) && trains(feature) ? 1 : 0;
    }
    if (trained == all) {
      continue;
    }
    std::size_t place = t;
    if (trained > 0) {
      place = tables.size();
      tables.push_back(tables[t]);
      frozen.push_back(1);
    }
    frozen[place] = 1;
    for (FeatureOptions& feature : features) {
      if (reads(feature) && !trains(feature)) {
        feature.table = static_cast<int>(place);
      }
    }
  }
  return frozen;
}

}  // namespace keyshard
