// What is learned of the bags of a batch beside their ids: the sums of their weights, and that bags
// of integers have one id at most.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// Adds up the weights of the ids of each bag, in numbers of type T.
template <class T>
struct WeighBags {
  BagRanges bags;
  const float* weights;  ///< of the ids
  WeightOfBag<T>* bag_weights;

  KEYSHARD_HD void operator()(std::int64_t bag) const {
    WeightOfBag<T> total{0, 0};
    for (std::int64_t i = bags.begin(bag); i < bags.begin(bag) + bags.size(bag); ++i) {
      const T weight = static_cast<T>(weights[i]);
      total.sum += weight;
      total.squares += weight * weight;
    }
    bag_weights[bag] = total;
  }
};

/// Counts the bags of integers that have several ids.
struct CountSeveral {
  ShapeRef shape;
  Divider by_features;
  BagRanges bags;
  const std::uint8_t* integers;  ///< of each table

  KEYSHARD_HD std::int64_t operator()(std::int64_t bag) const {
    const std::int64_t f = bag % by_features.divisor();
    return integers[shape.features[f].table] != 0 && bags.size(bag) > 1 ? 1 : 0;
  }

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t /*run*/, const Body& body) const {
    body(*this);
  }
};

/// Throws where a bag of rows of integers has several ids.
template <Backend B>
void check_single(Stream<B>& stream, const LookupShape& shape, const DeviceShape<B>& device,
                  const AskerState<B>& asker) {
  std::vector<std::uint8_t> integers;
  for (const ValueDtype dtype : shape.dtypes) {
    integers.push_back(is_integer(dtype) ? 1 : 0);
  }
  Buffer<std::uint8_t, B> storage;
  const std::int64_t runs[] = {0, asker.samples * shape.num_features()};
  const std::int64_t several =
      sum_runs(stream, runs,
               CountSeveral{device.ref, device.by_features, asker.bags(),
                            device_view<std::uint8_t>(stream, integers, storage)})[0];
  require(several == 0, Kind::invalid_argument,
          "rows of integers are looked up one by one: expected one id at most in each of their "
          "bags: found {} bags with several",
          several);
}

/// Keeps the weights of the ids, and adds up those of each bag.
template <Backend B>
void weigh_bags(Stream<B>& stream, const LookupShape& shape, const LookupInput& input,
                AskerState<B>& asker) {
  const std::int64_t bags = input.bags.lists();
  asker.weights = {stream, input.weights.size()};
  copy(stream, input.weights.data(), input.weights.size(), asker.weights.data());
  asker.bag_weights = {stream, bags};
  for_each(stream, bags,
           WeighBags<float>{asker.bags(), asker.weights.data(), asker.bag_weights.data()});
  if (shape.any_double()) {
    asker.double_bag_weights = {stream, bags};
    for_each(
        stream, bags,
        WeighBags<double>{asker.bags(), asker.weights.data(), asker.double_bag_weights.data()});
  }
}

}  // namespace keyshard
