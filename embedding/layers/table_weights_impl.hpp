// The bodies of the members of TableLayer that are about its weights.
#pragma once

#include <algorithm>
#include <limits>
#include <numeric>
#include <type_traits>
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

/// Appends a column of values of type T, as `weights` has them.
template <class T, Backend B>
void add_values(const Table<B>& table, const ShardContent& rows, const RowColumn& column,
                LayerWeights& weights) {
  std::vector<T> numbers(rows.keys.size() * static_cast<std::size_t>(column.width));
  table.copy_column(rows, column, numbers.data());
  if constexpr (std::is_same_v<T, double>) {
    weights.doubles.insert(weights.doubles.end(), numbers.begin(), numbers.end());
  } else if constexpr (std::is_same_v<T, std::uint16_t>) {
    const std::size_t before = weights.values.size();
    weights.values.resize(before + numbers.size());
    widen_values(Solo{}, column.dtype, std::ssize(numbers), numbers.data(),
                 weights.values.data() + before);
  } else if constexpr (std::is_same_v<T, float>) {
    weights.values.insert(weights.values.end(), numbers.begin(), numbers.end());
  } else {
    weights.integers.insert(weights.integers.end(), numbers.begin(), numbers.end());
  }
}

template <Backend B>
LayerWeights TableLayer<B>::get_weights() const {
  LayerWeights weights{options_.value_dtype, options_.embedding_size};
  const ValueDtype dtype = table_->options().value_dtype;
  const RowColumn column{"values", 0, table_->layout().dim, dtype};
  for (std::int64_t shard = table_->shards().begin; shard < table_->shards().end; ++shard) {
    const ShardContent rows = table_->shard_content(shard);
    weights.keys.insert(weights.keys.end(), rows.keys.begin(), rows.keys.end());
    if (is_short(dtype)) {
      add_values<std::uint16_t>(*table_, rows, column, weights);
    } else {
      with_number(dtype, [&](auto number) {
        add_values<decltype(number)>(*table_, rows, column, weights);
      });
    }
  }
  return weights;
}

/// Weights as a table takes them: a row of floats per key (floats_of).
struct PackedWeights {
  std::int64_t width = 0;
  std::vector<Key> keys;
  std::vector<float> rows;
};

inline PackedWeights packed(const LayerWeights& weights, ValueDtype dtype) {
  const std::int64_t dim = weights.embedding_size;
  PackedWeights all{floats_of(dtype, dim), weights.keys, weights.values};
  if (works_as_float(dtype)) {
    return all;
  }
  all.rows.resize(weights.keys.size() * static_cast<std::size_t>(all.width));
  with_number(dtype, [&](auto number) {
    using T = decltype(number);
    for (std::size_t i = 0; i < weights.keys.size(); ++i) {
      T* row = numbers_at<T>(all.rows.data() + static_cast<std::int64_t>(i) * all.width);
      for (std::int64_t d = 0; d < dim; ++d) {
        const std::size_t at = i * static_cast<std::size_t>(dim) + static_cast<std::size_t>(d);
        row[d] = dtype == ValueDtype::float64 ? static_cast<T>(weights.doubles[at])
                                              : static_cast<T>(weights.integers[at]);
      }
    }
  });
  return all;
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
inline PackedWeights send_to_owners(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                    const Partitioner& partitioner, const ShardOwners& owners,
                                    const PackedWeights& weights) {
  const WeightRoutes routes(partitioner, owners, weights.keys);
  const std::int64_t width = weights.width;
  PackedWeights sent{width, {}, {}};
  for (const std::size_t i : routes.order) {
    sent.keys.push_back(weights.keys[i]);
    const auto row = weights.rows.begin() + static_cast<std::ptrdiff_t>(i) * width;
    sent.rows.insert(sent.rows.end(), row, row + width);
  }
  const Exchange<Cpu> exchange(communicator, routes.counts);
  const auto received = static_cast<std::size_t>(exchange.received());
  PackedWeights mine{width, std::vector<Key>(received),
                     std::vector<float>(received * static_cast<std::size_t>(width))};
  exchange.forward(stream, std::as_const(sent.keys).data(), mine.keys.data());
  exchange.forward(stream, std::as_const(sent.rows).data(), mine.rows.data(), width);
  return mine;
}

/// Throws where an integer is none of its type.
inline void check_integers(const std::string& layer, ValueDtype dtype,
                           const LayerWeights& weights) {
  with_number(dtype, [&](auto number) {
    using T = decltype(number);
    if constexpr (std::numeric_limits<T>::is_integer) {
      for (std::size_t i = 0; i < weights.integers.size(); ++i) {
        const std::int64_t value = weights.integers[i];
        require(value == static_cast<T>(value), Kind::invalid_argument,
                "layer {}: expected values of {}, from {} to {}: found {} for key {}", layer,
                weights.value_dtype, std::int64_t{std::numeric_limits<T>::min()},
                std::int64_t{std::numeric_limits<T>::max()}, value,
                static_cast<std::int64_t>(
                    weights.keys[i / static_cast<std::size_t>(weights.embedding_size)]));
      }
    }
  });
}

inline void check_weights(const std::string& layer, bool built, const LayerOptions& options,
                          const LayerWeights& weights) {
  require(built, Kind::invalid_argument,
          "layer {}: expected a layer that is built, for set_weights; call build or the layer",
          layer);
  require(weights.value_dtype == options.value_dtype, Kind::invalid_argument,
          "layer {}: expected weights of dtype {}: found {}", layer, options.value_dtype,
          weights.value_dtype);
  const ValueDtype dtype = value_dtype_of(options.value_dtype);
  const std::size_t found = works_as_float(dtype) ? weights.values.size()
                            : is_integer(dtype)   ? weights.integers.size()
                                                  : weights.doubles.size();
  require(weights.embedding_size == options.embedding_size &&
              found == weights.keys.size() * static_cast<std::size_t>(options.embedding_size),
          Kind::invalid_argument,
          "layer {}: expected weights of shape [{}, {}]: found embedding_size {} and {} values",
          layer, weights.keys.size(), options.embedding_size, weights.embedding_size, found);
  require(found == weights.values.size() + weights.doubles.size() + weights.integers.size(),
          Kind::invalid_argument,
          "layer {}: expected weights of {} in the list of that type alone: found {} floats, {} "
          "doubles, {} integers",
          layer, options.value_dtype, weights.values.size(), weights.doubles.size(),
          weights.integers.size());
  check_integers(layer, dtype, weights);
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
  const PackedWeights mine = send_to_owners(communicator, host_of(stream), table_->partitioner(),
                                            owners_of(table_->options(), communicator.size()),
                                            packed(weights, table_->options().value_dtype));
  vote(communicator, [&] { check_distinct(path(), mine.keys); });
  const auto replace = [&] {
    table_->clear(stream);
    const Buffer<Key, B> keys = to_device(stream, mine.keys);
    const Buffer<float, B> values = to_device(stream, mine.rows);
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
