// The side of a rank that asks: learns the batch, deduplicates, pools the answers.
#include <algorithm>
#include <numeric>

#include "embedding/lookup/lookup_state.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"
#include "runtime/prefetch.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {
namespace {

constexpr int kColumns = 64;

void check_input(const LookupShape& shape, const LookupInput& input) {
  const std::int64_t bags = input.samples * shape.num_features();
  require(input.bags.lists() == bags || (bags == 0 && input.bags.values.empty()),
          Kind::invalid_argument,
          "expected samples x features bags: samples {}, features {}, bags {}", input.samples,
          shape.num_features(), input.bags.lists());
  require(bags == 0 ||
              (input.bags.offsets.front() == 0 &&
               input.bags.offsets.back() == static_cast<std::int64_t>(input.bags.values.size())),
          Kind::invalid_argument,
          "expected bag offsets from 0 to the number of ids {}: found {} to {}",
          input.bags.values.size(), bags == 0 ? 0 : input.bags.offsets.front(),
          bags == 0 ? 0 : input.bags.offsets.back());
  require(static_cast<std::int64_t>(input.slice_offsets.size()) == input.run.size() + 1 &&
              input.slice_offsets.front() == 0 && input.slice_offsets.back() == input.samples &&
              std::is_sorted(input.slice_offsets.begin(), input.slice_offsets.end()),
          Kind::invalid_argument,
          "expected {} ascending slice offsets from 0 to the number of samples {}: found {}",
          input.run.size() + 1, input.samples, input.slice_offsets.size());
}

/// Whether every bag has one id, so that bag and occurrence are one number. Checks the order of
/// offsets on the way.
bool all_single(Stream<Cpu>& stream, const RaggedView<const Key>& bags) {
  std::vector<char> single(static_cast<std::size_t>(stream.threads().size()), 1);
  stream.threads().for_shares(bags.lists(), [&](std::int64_t begin, std::int64_t end, int thread) {
    bool all = true;
    bool ascending = true;
    for (std::int64_t bag = begin; bag < end; ++bag) {
      const std::int64_t first = bags.offsets[static_cast<std::size_t>(bag)];
      const std::int64_t next = bags.offsets[static_cast<std::size_t>(bag) + 1];
      all &= next == first + 1;
      ascending &= next >= first;
    }
    require(ascending, Kind::invalid_argument,
            "expected ascending bag offsets: found a descent in bags {} to {}", begin, end);
    single[static_cast<std::size_t>(thread)] = all;
  });
  return std::all_of(single.begin(), single.end(), [](char s) { return s != 0; });
}

/// bag_of and the table of every occurrence.
void plan_bags(Stream<Cpu>& stream, const LookupShape& shape, const LookupInput& input,
               AskerState<Cpu>& asker, Buffer<std::uint16_t, Cpu>& tables) {
  const std::int64_t features = shape.num_features();
  const auto n = static_cast<std::int64_t>(input.bags.values.size());
  const bool single = all_single(stream, input.bags);
  if (!single) {
    asker.bag_offsets = {stream, input.bags.lists() + 1};
    std::copy(input.bags.offsets.begin(), input.bags.offsets.end(), asker.bag_offsets.data());
    asker.bag_of = {stream, n};
  }
  if (shape.tables() > 1) {
    tables = {stream, n};
  }
  if (single && shape.tables() == 1) {
    return;
  }
  const BagRanges bags = asker.bags();
  for_each(stream, input.bags.lists(), [&](std::int64_t bag) {
    const auto table =
        static_cast<std::uint16_t>(shape.features[static_cast<std::size_t>(bag % features)].table);
    for (std::int64_t i = bags.begin(bag); i < bags.begin(bag) + bags.size(bag); ++i) {
      if (!single) {
        asker.bag_of[i] = static_cast<std::uint32_t>(bag);
      }
      if (tables.size() > 0) {
        tables[i] = table;
      }
    }
  });
}

/// An id of a bag, to be sorted by its shard.
struct ShardItem {
  std::uint16_t key;
  std::uint32_t item;
};

/// Orders the ids of bags of tables that are pooled by shard: (shard, position in bag), in the
/// inverse. The occurrences of a key stand for its bags, so they need not follow.
void order_bags(Stream<Cpu>& stream, const LookupShape& shape, AskerState<Cpu>& asker) {
  if (std::none_of(shape.shard_order.begin(), shape.shard_order.end(), [](bool s) { return s; })) {
    return;
  }
  asker.shards = {stream, asker.distinct.size()};
  const std::int64_t tables = shape.tables();
  for (std::size_t block = 0; block + 1 < asker.distinct.blocks.size(); ++block) {
    const Partitioner& partitioner = shape.partitioners[block % static_cast<std::size_t>(tables)];
    for (std::int64_t u = asker.distinct.blocks[block]; u < asker.distinct.blocks[block + 1]; ++u) {
      asker.shards[u] = static_cast<std::uint16_t>(shard_of(partitioner, asker.distinct.keys[u]));
    }
  }
  if (asker.bag_offsets.size() == 0) {
    return;
  }
  const std::int64_t features = shape.num_features();
  std::uint32_t* items = asker.distinct.inverse.data();
  stream.threads().for_shares(
      asker.samples * features, [&](std::int64_t bag, std::int64_t last, int) {
        std::vector<ShardItem> sorted;
        for (; bag < last; ++bag) {
          const FeatureShape& feature = shape.features[static_cast<std::size_t>(bag % features)];
          const std::int64_t begin = asker.bag_offsets[bag], end = asker.bag_offsets[bag + 1];
          if (end - begin > 1 && shape.shard_order[static_cast<std::size_t>(feature.table)]) {
            sorted.clear();
            for (std::int64_t i = begin; i < end; ++i) {
              sorted.push_back({asker.shards[items[i]], items[i]});
            }
            sort_pairs(Span<ShardItem>(sorted));
            std::transform(sorted.begin(), sorted.end(), items + begin,
                           [](const ShardItem& entry) { return entry.item; });
          }
        }
      });
}

/// Samples that are fetched ahead together: by what they write, or read.
std::int64_t samples_of_block(const LookupShape& shape, const AskerState<Cpu>& asker) {
  const std::int64_t written =
      std::accumulate(shape.widths.begin(), shape.widths.end(), std::int64_t{0});
  const std::int64_t ids = asker.distinct.inverse.size() / std::max<std::int64_t>(asker.samples, 1);
  return block_of(std::max(written, ids * shape.dims.front()));
}

/// Fetches the rows and outputs of the samples [begin, end) ahead, as many as fit the first cache.
void fetch_samples(const LookupShape& shape, const AskerState<Cpu>& asker, const ItemRows& rows,
                   Span<const MatrixView<float>> pooled, std::int64_t begin, std::int64_t end) {
  const BagRanges bags = asker.bags();
  const std::int64_t first = bags.begin(begin * shape.num_features());
  const std::int64_t last =
      std::min(bags.begin(end * shape.num_features()), first + kFetchedOccurrences);
  for (std::int64_t i = first; i < last; ++i) {
    prefetch(rows(asker.distinct.inverse[i]), shape.dims.front());
  }
  for (const MatrixView<float>& out : pooled) {
    for (std::int64_t sample = begin; sample < end; ++sample) {
      prefetch_to_write(out.row(sample), out.cols);
    }
  }
}

}  // namespace

BlockLayout::BlockLayout(const std::vector<std::int64_t>& sizes, std::int64_t ranks)
    : bases(sizes.size() + 1), counts(static_cast<std::size_t>(ranks)) {
  const std::size_t tables = sizes.size() / static_cast<std::size_t>(ranks);
  for (std::size_t block = 0; block < sizes.size(); ++block) {
    bases[block + 1] = bases[block] + sizes[block];
    counts[block / tables] += sizes[block];
  }
}

template <>
void plan_batch(Stream<Cpu>& stream, const LookupShape& shape, const LookupInput& input,
                AskerState<Cpu>& asker) {
  check_input(shape, input);
  asker.samples = input.samples;
  asker.slices = input.slices;
  asker.run = input.run;
  asker.slice_of = {stream, input.samples};
  for (std::int64_t i = 0; i < input.run.size(); ++i) {
    const auto s = static_cast<std::size_t>(i);
    std::fill(asker.slice_of.data() + input.slice_offsets[s],
              asker.slice_of.data() + input.slice_offsets[s + 1],
              static_cast<std::uint16_t>(input.run.begin + i));
  }
  Buffer<std::uint16_t, Cpu> tables;
  plan_bags(stream, shape, input, asker, tables);
  asker.distinct =
      dedup(stream, Occurrences{input.bags.values, tables.size() == 0 ? nullptr : tables.data(),
                                shape.partitioners, shape.ranks});
  order_bags(stream, shape, asker);
}

template <>
void pool_answers(Stream<Cpu>& stream, const LookupShape& shape, AskerState<Cpu>& asker,
                  Span<const MatrixView<float>> pooled) {
  asker.states = {stream, asker.samples * shape.kept_floats};
  const ItemRows rows{
      asker.values.data(),
      {shape.dims.front(), asker.value_offsets.size() == 0 ? nullptr : asker.value_offsets.data()},
      asker.rows.size() == 0 ? nullptr : asker.rows.data()};
  const auto fetch = [&](std::int64_t begin, std::int64_t end) {
    fetch_samples(shape, asker, rows, pooled, begin, end);
  };
  const std::int64_t samples = samples_of_block(shape, asker);
  for_blocks(stream, asker.samples, samples, fetch, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t f = 0; f < shape.num_features(); ++f) {
      const FeatureShape& feature = shape.features[static_cast<std::size_t>(f)];
      const auto table = static_cast<std::size_t>(feature.table);
      if (asker.reduced[table] != 0) {
        continue;
      }
      for (std::size_t g = 0; g < feature.groups.size(); ++g) {
        const FeatureGroup& group = feature.groups[g];
        std::visit(
            [&](auto c) {
              run_rows(begin, end,
                       PoolBag<decltype(c), kColumns>{
                           rows, asker.distinct.inverse.data(), asker.bags(), shape.num_features(),
                           f, group.offset, group.dim, pooled[g], group.column,
                           shape.shard_order[table] ? asker.shards.data() : nullptr,
                           group.state_column < 0 ? nullptr : asker.states.data(),
                           shape.kept_floats, group.state_column});
            },
            group.combiner);
      }
    }
  });
  merge_parts(stream, shape, asker, pooled);
}

}  // namespace keyshard
