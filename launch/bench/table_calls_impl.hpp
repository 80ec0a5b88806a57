// The bodies of TableCalls.
#pragma once

#include <algorithm>

#include "embedding/rows/segment_growth.hpp"
#include "launch/bench/scrambled_order.hpp"
#include "launch/bench/table_calls.hpp"
#include "launch/bench/workload.hpp"
#include "runtime/copy.hpp"

namespace keyshard {

inline TableOptions options_of_calls(const CallSizes& sizes) {
  TableOptions options;
  options.name = "table";
  options.groups = {{"values", sizes.dim, Constant{0.01f}, {}, Sgd{0.01f}, {}}};
  options.init_capacity = sizes.capacity;
  return options;
}

template <Backend B>
TableCalls<B>::TableCalls(Stream<B>& stream, const CallSizes& sizes)
    : stream_(stream),
      sizes_(sizes),
      table_(options_of_calls(sizes), {0, kShards}),
      found_(stream, sizes.call),
      values_(stream, sizes.call * sizes.dim) {
  std::vector<float> gradients(static_cast<std::size_t>(values_.size()));
  fill_gradients(gradients, 0);
  gradients_ = to_device(stream, gradients);
}

template <Backend B>
std::int64_t TableCalls<B>::bring_new(std::int64_t rows) {
  std::vector<Key> keys;
  const std::int64_t end = std::min(rows, keyed_ + sizes_.call);
  for (; keyed_ < end; ++keyed_) {
    keys.push_back(table_key(keyed_));
  }
  new_keys_ = to_device(stream_, keys);
  return std::ssize(keys);
}

template <Backend B>
void TableCalls<B>::insert_new() {
  table_.find_or_insert(stream_, new_keys_.span(), found_.data());
}

template <Backend B>
void TableCalls<B>::draw() {
  ScrambledOrder order(keyed_);
  std::vector<Key> keys;
  for (std::int64_t c = 0; c < kPreparedCalls; ++c) {
    for (const std::uint32_t number : order.next(sizes_.call)) {
      keys.push_back(table_key(number));
    }
  }
  drawn_ = to_device(stream_, keys);
  drawn_rows_ = {stream_, drawn_.size()};
  table_.find(stream_, drawn_.span(), drawn_rows_.data());
}

template <Backend B>
Span<const Key> TableCalls<B>::keys(std::int64_t step) const {
  return drawn_.span().subspan(step % kPreparedCalls * sizes_.call, sizes_.call);
}

template <Backend B>
void TableCalls<B>::find(std::int64_t step) {
  table_.find(stream_, keys(step), found_.data());
}

template <Backend B>
void TableCalls<B>::find_or_insert(std::int64_t step) {
  table_.find_or_insert(stream_, keys(step), found_.data());
}

template <Backend B>
void TableCalls<B>::lookup(std::int64_t step) {
  find(step);
  table_.read(stream_, keys(step), found_.data(), false, values_.data());
}

template <Backend B>
void TableCalls<B>::update(std::int64_t step) {
  table_.add({.size = sizes_.call,
              .keys = keys(step).data(),
              .rows = drawn_rows_.data() + step % kPreparedCalls * sizes_.call,
              .values = gradients_.data(),
              .occurrences = nullptr,
              .steps = table_.steps(),
              .finite = true,
              .keep = {}});
  table_.apply(stream_, {});
}

template <Backend B>
double TableCalls<B>::fill() const {
  const auto slots = static_cast<double>(std::int64_t{buckets_of_spread(sizes_.capacity, kShards)} *
                                         kShards * KeyBucket::kSlots);
  return static_cast<double>(rows()) / slots;
}

}  // namespace keyshard
