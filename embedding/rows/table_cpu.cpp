#include <algorithm>
#include <bit>
#include <cmath>

#include "embedding/rows/dedup.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBlock = 64;  // rows that are fetched ahead together

/// The gradients of several calls, one call after another.
struct JoinedCalls {
  std::vector<Key> keys;
  std::vector<const float*> values;  // of each key
  std::vector<std::uint32_t> occurrences;
  bool counted;  // whether all calls say how many occurrences their sums have

  JoinedCalls(const std::vector<RowGradients<Cpu>>& calls, std::int64_t dim)
      : counted(!calls.empty()) {
    for (const RowGradients<Cpu>& call : calls) {
      counted = counted && call.occurrences.size() == call.size();
    }
    for (const RowGradients<Cpu>& call : calls) {
      for (std::int64_t i = 0; i < call.size(); ++i) {
        keys.push_back(call.keys[i]);
        values.push_back(call.values() + i * dim);
        occurrences.push_back(counted ? call.occurrences[i] : 0);
      }
    }
  }
};

}  // namespace

template <>
Table<Cpu>::Table(TableOptions options, Range shards)
    : options_((check(options), std::move(options))),
      partitioner_(partitioner_of(options_.partitioner, options_.name)),
      layout_(options_.groups),
      index_(shards, hash_of(options_.seed, 0x1DE)),
      store_(layout_.stride) {
  for (GroupOptions& group : options_.groups) {
    if (!group.constant.empty()) {
      group.initializer = ConstantVector{group.constant.data()};
    }
    clocks_.emplace_back(group.optimizer);
  }
  index_.reserve(options_.init_capacity * shards.size() / kShards);
}

template <>
void Table<Cpu>::add_reader(const std::string& feature) {
  if (std::find(readers_.begin(), readers_.end(), feature) == readers_.end()) {
    readers_.push_back(feature);
  }
}

// FindRow, with the homes of a block of keys fetched ahead and kept.
template <>
void Table<Cpu>::find(Stream<Cpu>& stream, Span<const Key> keys, RowId* rows) const {
  const KeyIndexRef index = index_.ref();
  const auto find_share = [&](const auto& partitioner, std::int64_t begin, std::int64_t end) {
    KeyIndexRef::Home homes[kBlock];
    while (begin < end) {
      const Key* block = keys.data() + begin;
      const std::int64_t n = std::min(kBlock, end - begin);
      for (std::int64_t i = 0; i < n; ++i) {
        homes[i] = index.home_of(block[i], partitioner.shard(block[i]));
        prefetch(homes[i].bucket, 1);
      }
      for (std::int64_t i = 0; i < n; ++i) {
        rows[begin + i] = KeyIndexRef::find(Solo{}, block[i], homes[i]);
      }
      begin += n;
    }
  };
  stream.threads().for_shares(static_cast<std::int64_t>(keys.size()), [&](std::int64_t begin,
                                                                          std::int64_t end, int) {
    std::visit([&](const auto& partitioner) { find_share(partitioner, begin, end); }, partitioner_);
  });
}

template <>
void Table<Cpu>::read(Stream<Cpu>& stream, Span<const Key> keys, const RowId* rows, bool inference,
                      float* out) const {
  const RowStoreRef store = store_.ref();
  const bool zeros = inference && options_.missing == Missing::zeros;
  for_blocks(
      stream, static_cast<std::int64_t>(keys.size()), kBlock,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          if (rows[i] != kNoRow) {
            prefetch(store.row(rows[i]), layout_.dim);
          }
        }
      },
      [&](std::int64_t begin, std::int64_t end) {
        for (std::size_t g = 0; g < layout_.groups.size(); ++g) {
          const RowLayout::Group& group = layout_.groups[g];
          std::visit(
              [&](const auto& initializer) {
                run_rows(begin, end,
                         ReadRow<std::decay_t<decltype(initializer)>>{
                             store, initializer, hash_of(options_.seed, g), zeros, keys.data(),
                             rows, layout_.dim, group.value_offset, group.dim, out});
              },
              options_.groups[g].initializer);
        }
      });
}

template <>
Buffer<float, Cpu> Table<Cpu>::locate(Stream<Cpu>& stream, Span<const Key> keys, const RowId* rows,
                                      bool inference, const float** out) const {
  const RowStoreRef store = store_.ref();
  const auto n = static_cast<std::int64_t>(keys.size());
  const Buffer<std::uint32_t, Cpu> absent =
      select(stream, n, [rows](std::int64_t i) { return rows[i] == kNoRow; });
  Buffer<Key, Cpu> absent_keys(stream, absent.size());
  Buffer<RowId, Cpu> no_rows(stream, absent.size());
  for_each(stream, absent.size(), [&](std::int64_t i) {
    absent_keys[i] = keys[absent[i]];
    no_rows[i] = kNoRow;
  });
  Buffer<float, Cpu> values(stream, absent.size() * layout_.dim);
  read(stream, absent_keys.span(), no_rows.data(), inference, values.data());
  for_each(stream, n,
           [&](std::int64_t i) { out[i] = rows[i] == kNoRow ? nullptr : store.row(rows[i]); });
  for_each(stream, absent.size(),
           [&](std::int64_t i) { out[absent[i]] = values.data() + i * layout_.dim; });
  return values;
}

template <>
void Table<Cpu>::add(RowGradients<Cpu> gradients) {
  calls_.push_back(std::move(gradients));
}

template <>
RowGradients<Cpu> Table<Cpu>::merge_calls(Stream<Cpu>& stream) {
  if (calls_.size() == 1) {
    RowGradients<Cpu> only = std::move(calls_.front());
    calls_.clear();
    return only;
  }
  const JoinedCalls all(calls_, layout_.dim);
  Distinct<Cpu> distinct =
      dedup(stream, Occurrences{all.keys, nullptr, Span<const Partitioner>(&partitioner_, 1), 1});
  const std::int64_t n = distinct.size();
  RowGradients<Cpu> sum{{},
                        {stream, n},
                        std::make_shared<Buffer<float, Cpu>>(stream, n * layout_.dim),
                        0,
                        {stream, all.counted ? n : 0}};
  const auto in_order = [](std::int64_t) { return std::int64_t{0}; };  // one number for all calls
  fold_segments(
      stream, n, distinct.offsets.data(), layout_.dim, in_order,
      [&](std::int64_t k) { return all.values[distinct.occurrences[k]]; }, sum.values());
  for_each(stream, sum.occurrences.size(), [&](std::int64_t u) {
    sum.occurrences[u] = 0;
    for (std::uint32_t k = distinct.offsets[u]; k < distinct.offsets[u + 1]; ++k) {
      sum.occurrences[u] += all.occurrences[distinct.occurrences[k]];
    }
  });
  sum.keys = std::move(distinct.keys);
  find(stream, sum.keys.span(), sum.rows.data());
  calls_.clear();
  return sum;
}

template <>
void Table<Cpu>::check_finite(Stream<Cpu>& stream, const RowGradients<Cpu>& gradients) const {
  const std::int64_t dim = layout_.dim;
  stream.threads().for_shares(gradients.size(), [&](std::int64_t begin, std::int64_t end, int) {
    const float* values = gradients.values();
    std::uint32_t most = 0;  // the greatest exponent: all ones for what is not finite
    for (std::int64_t d = begin * dim; d < end * dim; ++d) {
      most = std::max(most, std::bit_cast<std::uint32_t>(values[d]) & 0x7F800000u);
    }
    if (most != 0x7F800000u) {
      return;
    }
    for (std::int64_t d = begin * dim; d < end * dim; ++d) {
      require(std::isfinite(values[d]), Kind::non_finite,
              "expected finite gradients: found {} for key {} of table {}, read by {}", values[d],
              static_cast<std::int64_t>(gradients.keys[d / dim]), options_.name,
              fmt::join(readers_, ", "));
    }
  });
}

template <>
void Table<Cpu>::update_rows(Stream<Cpu>& stream, RowGradients<Cpu>& gradients,
                             const UpdateContext& context) {
  std::vector<StepScalars> steps;
  for (OptimizerClock& clock : clocks_) {
    steps.push_back(clock.tick(context.learning_rate_scale));
  }
  const RowStoreRef store = store_.ref();
  const RowId* rows = gradients.rows.data();
  float* values = gradients.values();
  const auto fetch = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      prefetch_to_write(store.row(rows[i]), layout_.stride);
    }
  };
  for_blocks(stream, gradients.size(), kBlock, fetch, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t g = 0; g < layout_.groups.size(); ++g) {
      const RowLayout::Group& group = layout_.groups[g];
      const Regularization& shrink = options_.groups[g].regularization;
      std::visit(
          [&](const auto& optimizer) {
            if (shrink.l2 > 0 || shrink.weight_decay > 0) {
              const float samples =
                  static_cast<float>(std::max<std::int64_t>(context.valid_samples, 1));
              const float rate = optimizer.learning_rate * context.learning_rate_scale;
              run_rows(begin, end,
                       ShrinkRow{store, rows, layout_.dim, group.value_offset, group.dim, values,
                                 shrink.l2_per_occurrence ? gradients.occurrences.data() : nullptr,
                                 shrink.l2_per_occurrence ? shrink.l2 / samples : shrink.l2,
                                 rate * shrink.weight_decay});
            }
            run_rows(begin, end,
                     UpdateRow<std::decay_t<decltype(optimizer)>>{
                         store, optimizer, steps[g], rows, layout_.dim, group.value_offset,
                         group.dim, group.state_offset, values});
          },
          options_.groups[g].optimizer);
    }
  });
}

template <>
void Table<Cpu>::apply(Stream<Cpu>& stream, const UpdateContext& context) {
  RowGradients<Cpu> gradients = merge_calls(stream);
  check_finite(stream, gradients);
  insert_missing(stream, gradients.keys.span(), gradients.rows.data());
  update_rows(stream, gradients, context);
}

}  // namespace keyshard
