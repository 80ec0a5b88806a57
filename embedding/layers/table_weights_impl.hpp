// The bodies of the members of TableLayer that are about its weights.
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "collectives/exchange.hpp"
#include "collectives/vote.hpp"
#include "embedding/layers/key_dtype.hpp"
#include "embedding/layers/table_layer.hpp"
#include "embedding/rows/row_values.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

template <Backend B>
std::vector<WeightView> TableLayer<B>::weights() const {
  std::vector<WeightView> views{{.name = table_->options().name,
                                 .key_dtype = options_.key_dtype,
                                 .value_dtype = options_.value_dtype,
                                 .embedding_size = options_.embedding_size,
                                 .size = table_->size()}};
  if (has_status(table_->options().restrict_policy)) {
    views.push_back({views[0].name + "/status", options_.key_dtype, "uint32", 1, table_->size()});
  }
  return views;
}

template <Backend B>
std::vector<WeightView> TableLayer<B>::trainable_weights() const {
  std::vector<WeightView> views = weights();
  views.resize(options_.trainable ? 1 : 0);
  return views;
}

template <Backend B>
std::vector<WeightView> TableLayer<B>::non_trainable_weights() const {
  std::vector<WeightView> views = weights();
  views.erase(views.begin(), views.begin() + (options_.trainable ? 1 : 0));
  return views;
}

template <Backend B>
LayerWeights TableLayer<B>::get_weights() const {
  LayerWeights weights{options_.value_dtype, options_.embedding_size, {}, {}};
  const ValueDtype dtype = table_->options().value_dtype;
  const RowColumn values{"values", 0, table_->layout().dim, dtype};
  for (std::int64_t shard = table_->shards().begin; shard < table_->shards().end; ++shard) {
    const ShardContent rows = table_->shard_content(shard);
    const std::size_t before = weights.values.size();
    weights.keys.insert(weights.keys.end(), rows.keys.begin(), rows.keys.end());
    weights.values.resize(before + rows.keys.size() * static_cast<std::size_t>(values.width));
    float* out = weights.values.data() + before;
    if (dtype == ValueDtype::float32) {
      table_->copy_column(rows, values, out);
    } else {
      std::vector<std::uint16_t> numbers(rows.keys.size() * static_cast<std::size_t>(values.width));
      table_->copy_column(rows, values, numbers.data());
      widen_values(Solo{}, dtype, std::ssize(numbers), numbers.data(), out);
    }
  }
  return weights;
}

/// The order of weights by the rank that owns them, and how many each rank gets.
struct WeightRoutes {
  std::vector<std::size_t> order;
  std::vector<std::int64_t> counts;

  WeightRoutes(const Partitioner& partitioner, const ShardOwners& owners,
               const std::vector<Key>& keys)
      : order(keys.size()), counts(static_cast<std::size_t>(owners.ranks())) {
    std::vector<std::int64_t> ranks;
    for (const Key key : keys) {
      ranks.push_back(owners.owner(shard_of(partitioner, key)));
      ++counts[static_cast<std::size_t>(ranks.back())];
    }
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return ranks[a] < ranks[b]; });
  }
};

/// Sends every weight to the rank that owns it. Collective; in host memory.
inline LayerWeights send_to_owners(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                   const Partitioner& partitioner, const ShardOwners& owners,
                                   const LayerWeights& weights) {
  const WeightRoutes routes(partitioner, owners, weights.keys);
  const std::int64_t dim = weights.embedding_size;
  LayerWeights sent{weights.value_dtype, dim, {}, {}};
  for (const std::size_t i : routes.order) {
    sent.keys.push_back(weights.keys[i]);
    const auto row = weights.values.begin() + static_cast<std::ptrdiff_t>(i) * dim;
    sent.values.insert(sent.values.end(), row, row + dim);
  }
  const Exchange<Cpu> exchange(communicator, routes.counts);
  const auto received = static_cast<std::size_t>(exchange.received());
  LayerWeights mine{weights.value_dtype, dim, std::vector<Key>(received),
                    std::vector<float>(received * static_cast<std::size_t>(dim))};
  exchange.forward(stream, std::as_const(sent.keys).data(), mine.keys.data());
  exchange.forward(stream, std::as_const(sent.values).data(), mine.values.data(), dim);
  return mine;
}

inline void check_weights(const std::string& layer, bool built, const LayerOptions& options,
                          const LayerWeights& weights) {
  require(built, Kind::invalid_argument,
          "layer {}: expected a layer that is built, for set_weights; call build or the layer",
          layer);
  require(weights.value_dtype == options.value_dtype, Kind::invalid_argument,
          "layer {}: expected weights of dtype {}: found {}", layer, options.value_dtype,
          weights.value_dtype);
  require(weights.embedding_size == options.embedding_size &&
              weights.values.size() ==
                  weights.keys.size() * static_cast<std::size_t>(options.embedding_size),
          Kind::invalid_argument,
          "layer {}: expected weights of shape [{}, {}]: found embedding_size {} and {} values",
          layer, weights.keys.size(), options.embedding_size, weights.embedding_size,
          weights.values.size());
}

inline void check_keys(const std::string& layer, const std::string& key_dtype,
                       const std::vector<Key>& keys) {
  const auto bad =
      std::find_if(keys.begin(), keys.end(), [&](Key key) { return !holds_key(key_dtype, key); });
  require(bad == keys.end(), Kind::invalid_argument,
          "layer {}: expected keys of key_dtype {}: found {}", layer, key_dtype,
          bad == keys.end() ? 0 : static_cast<std::int64_t>(*bad));
}

inline void check_distinct(const std::string& layer, std::vector<Key> keys) {
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  require(twice == keys.end(), Kind::invalid_argument,
          "layer {}: expected each key once, on all ranks together: found {} twice", layer,
          twice == keys.end() ? 0 : static_cast<std::int64_t>(*twice));
}

template <Backend B>
void TableLayer<B>::set_weights(Stream<B>& stream, const LayerWeights& weights) {
  Communicator<Cpu>& communicator = host_of(*device_communicator_);
  vote(communicator, [&] {
    check_weights(path(), built(), options_, weights);
    check_keys(path(), options_.key_dtype, weights.keys);
  });
  const LayerWeights mine =
      send_to_owners(communicator, host_of(stream), table_->partitioner(),
                     owners_of(table_->options(), communicator.size()), weights);
  vote(communicator, [&] { check_distinct(path(), mine.keys); });
  const auto replace = [&] {
    table_->clear(stream);
    const Buffer<Key, B> keys = to_device(stream, mine.keys);
    const Buffer<float, B> values = to_device(stream, mine.values);
    table_->assign(stream, keys.span(), values.data());
  };
  if (table_->stored() != nullptr) {
    vote(communicator, replace);  // a store may fail on one rank
  } else {
    replace();
  }
}

template <Backend B>
std::int64_t TableLayer<B>::count_params() const {
  vote(host_of(*device_communicator_), [&] {
    require(built(), Kind::invalid_argument,
            "layer {}: expected a layer that is built, for count_params; call build or the layer",
            path());
  });
  std::int64_t rows = table_->size();
  device_communicator_->all_reduce(Span<std::int64_t>(&rows, 1), Reduction::sum);
  return rows * options_.embedding_size;
}

}  // namespace keyshard
