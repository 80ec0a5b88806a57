// Parts of bags in reduced form: made by the asker, read and reduced by the owner, merged by the
// asker.
#include <algorithm>

#include "embedding/lookup/bag_part.hpp"
#include "embedding/lookup/lookup_state.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {
namespace {

constexpr int kColumns = 32;

/// Nodes of the owner's run of shards that a sorted list of shards touches.
template <class Shards>
std::int64_t count_nodes(const LookupShape& shape, std::uint32_t count, const Shards& shard) {
  std::int64_t nodes = 0;
  std::int64_t node = -1;
  for (std::uint32_t j = 0; j < count; ++j) {
    const std::int64_t next = shape.node_of_shard[shard(j)];
    nodes += next != node;
    node = next;
  }
  return nodes;
}

/// Collects the parts of a batch bag by bag, and their words block by block.
class PartMaker {
 public:
  PartMaker(const LookupShape& shape, const AskerState<Cpu>& asker)
      : shape_(shape),
        asker_(asker),
        words_(static_cast<std::size_t>(shape.ranks * shape.tables())) {
    out_.state_floats.resize(words_.size());
    out_.back_floats.resize(words_.size());
  }

  void add_bag(std::int64_t bag) {
    const BagRanges bags = asker_.bags();
    const std::int64_t end = bags.begin(bag) + bags.size(bag);
    for (std::int64_t i = bags.begin(bag); i < end;) {
      const std::int64_t owner = owner_of(shard_at(i), shape_.ranks, kShards);
      std::int64_t stop = i + 1;
      while (stop < end && owner_of(shard_at(stop), shape_.ranks, kShards) == owner) {
        ++stop;
      }
      add_part(bag, owner, i, stop);
      i = stop;
    }
  }

  BagParts take(std::vector<std::int64_t> starts) {
    out_.starts = std::move(starts);
    for (const std::vector<std::uint32_t>& words : words_) {
      out_.words.insert(out_.words.end(), words.begin(), words.end());
      out_.word_counts.push_back(static_cast<std::int64_t>(words.size()));
    }
    return std::move(out_);
  }

  std::int64_t parts() const { return static_cast<std::int64_t>(out_.parts.size()); }

 private:
  std::uint16_t shard_at(std::int64_t i) const { return asker_.shards[asker_.distinct.inverse[i]]; }

  void add_part(std::int64_t bag, std::int64_t owner, std::int64_t begin, std::int64_t end) {
    const auto f = static_cast<std::uint32_t>(bag % shape_.num_features());
    const FeatureShape& feature = shape_.features[f];
    const auto block = static_cast<std::size_t>(owner * shape_.tables() + feature.table);
    const auto count = static_cast<std::uint32_t>(end - begin);
    const std::uint32_t slice = asker_.slice_of[bag / shape_.num_features()];
    out_.parts.push_back({static_cast<std::uint32_t>(bag), static_cast<std::uint32_t>(block), f,
                          slice, count, 0, begin, out_.state_floats[block],
                          out_.back_floats[block]});
    out_.state_floats[block] +=
        feature.state_floats *
        count_nodes(shape_, count, [&](std::uint32_t j) { return shard_at(begin + j); });
    out_.back_floats[block] += feature.back_floats;
    std::vector<std::uint32_t>& words = words_[block];
    words.insert(words.end(), {count, f, slice});
    for (std::int64_t i = begin; i < end; ++i) {
      words.push_back(asker_.distinct.inverse[i] -
                      static_cast<std::uint32_t>(asker_.distinct.blocks[block]));
    }
  }

  const LookupShape& shape_;
  const AskerState<Cpu>& asker_;
  BagParts out_;
  std::vector<std::vector<std::uint32_t>> words_;
};

BagParts make_parts(const LookupShape& shape, const AskerState<Cpu>& asker,
                    const std::vector<char>& reduced) {
  PartMaker maker(shape, asker);
  const std::int64_t bags = asker.samples * shape.num_features();
  std::vector<std::int64_t> starts(static_cast<std::size_t>(bags) + 1);
  for (std::int64_t bag = 0; bag < bags; ++bag) {
    const int table = shape.features[static_cast<std::size_t>(bag % shape.num_features())].table;
    if (reduced[static_cast<std::size_t>(table)] != 0) {
      maker.add_bag(bag);
    }
    starts[static_cast<std::size_t>(bag) + 1] = maker.parts();
  }
  return maker.take(std::move(starts));
}

/// Partial sums of gradients, one per key and node of this rank's slices in which it occurs, of
/// keys of other ranks.
std::int64_t count_partials(const LookupShape& shape, const AskerState<Cpu>& asker,
                            std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> node_of(static_cast<std::size_t>(asker.slices));
  for (const Range& node : nodes_of(asker.run)) {
    std::fill(node_of.begin() + node.begin, node_of.begin() + node.end, node.begin);
  }
  std::int64_t partials = 0;
  for (std::int64_t u = begin; u < end; ++u) {
    std::int64_t last = -1;
    for (std::uint32_t k = asker.distinct.offsets[u]; k < asker.distinct.offsets[u + 1]; ++k) {
      const std::uint32_t i = asker.distinct.occurrences[k];
      const std::int64_t bag = asker.bag_of.size() == 0 ? i : asker.bag_of[i];
      const std::int64_t node = node_of[asker.slice_of[bag / shape.num_features()]];
      partials += node != last;
      last = node;
    }
  }
  return partials;
}

/// Whether the reduced form of a table sends fewer bytes between this rank and the others, ids
/// aside, there and back.
bool reduced_is_smaller(const LookupShape& shape, std::int64_t rank, const AskerState<Cpu>& asker,
                        const BagParts& parts, std::int64_t table) {
  std::int64_t rows = 0;
  std::int64_t reduced = 0;
  for (std::int64_t owner = 0; owner < shape.ranks; ++owner) {
    if (owner == rank) {
      continue;
    }
    const auto block = static_cast<std::size_t>(owner * shape.tables() + table);
    const std::int64_t begin = asker.distinct.blocks[block], end = asker.distinct.blocks[block + 1];
    rows += (end - begin + count_partials(shape, asker, begin, end)) *
            shape.dims[static_cast<std::size_t>(table)];
    reduced += parts.word_counts[block] + parts.state_floats[block] + parts.back_floats[block];
  }
  return reduced < rows;
}

std::vector<std::uint16_t> shards_of(const LookupShape& shape,
                                     const std::vector<std::int64_t>& blocks,
                                     Span<const Key> keys) {
  std::vector<std::uint16_t> shards(keys.size());
  for (std::size_t block = 0; block + 1 < blocks.size(); ++block) {
    const Partitioner& partitioner =
        shape.partitioners[block % static_cast<std::size_t>(shape.tables())];
    for (auto j = static_cast<std::size_t>(blocks[block]);
         j < static_cast<std::size_t>(blocks[block + 1]); ++j) {
      shards[j] = static_cast<std::uint16_t>(shard_of(partitioner, keys[j]));
    }
  }
  return shards;
}

}  // namespace

template <>
void plan_parts(const LookupShape& shape, std::int64_t rank, AskerState<Cpu>& asker) {
  const auto tables = static_cast<std::size_t>(shape.tables());
  asker.reduced.assign(tables, 0);
  for (std::size_t t = 0; t < tables; ++t) {
    asker.reduced[t] = shape.modes[t] != ExchangeMode::rows;
  }
  if (std::none_of(asker.reduced.begin(), asker.reduced.end(), [](char r) { return r != 0; })) {
    return;
  }
  asker.parts = make_parts(shape, asker, asker.reduced);
  bool changed = false;
  for (std::size_t t = 0; t < tables; ++t) {
    if (shape.modes[t] == ExchangeMode::automatic &&
        !reduced_is_smaller(shape, rank, asker, asker.parts, static_cast<std::int64_t>(t))) {
      asker.reduced[t] = 0;
      changed = true;
    }
  }
  if (changed) {
    asker.parts = make_parts(shape, asker, asker.reduced);
  }
}

BagParts read_parts(const LookupShape& shape, const std::vector<std::int64_t>& word_counts,
                    const std::vector<std::int64_t>& key_blocks, Span<const Key> received,
                    std::vector<std::uint32_t> words) {
  BagParts in;
  in.word_counts = word_counts;
  in.words = std::move(words);
  in.back_floats.resize(word_counts.size());
  in.state_floats.resize(word_counts.size());
  in.shards = shards_of(shape, key_blocks, received);
  std::int64_t at = 0;
  for (std::size_t block = 0; block < word_counts.size(); ++block) {
    const std::int64_t end = at + word_counts[block];
    const std::int64_t first = key_blocks[block], keys = key_blocks[block + 1] - first;
    while (at < end) {
      const std::uint32_t* word = in.words.data() + at;
      const std::uint32_t* items = word + BagPart::kHeaderWords;
      const bool whole = end - at >= BagPart::kHeaderWords && word[1] < shape.features.size() &&
                         end - at - BagPart::kHeaderWords >= std::int64_t{word[0]};
      require(whole && std::all_of(items, items + word[0],
                                   [&](std::uint32_t item) { return item < keys; }),
              Kind::communication,
              "expected parts of bags that fit their {} keys: found a broken message in block {}",
              keys, block);
      const FeatureShape& feature = shape.features[word[1]];
      in.parts.push_back({0, static_cast<std::uint32_t>(block), word[1], word[2], word[0], 0,
                          at + BagPart::kHeaderWords, in.state_floats[block],
                          in.back_floats[block]});
      in.state_floats[block] +=
          feature.state_floats * count_nodes(shape, word[0], [&](std::uint32_t j) {
            return in.shards[static_cast<std::size_t>(first + items[j])];
          });
      in.back_floats[block] += feature.back_floats;
      at += BagPart::kHeaderWords + word[0];
    }
  }
  return in;
}

template <>
void reduce_parts(Stream<Cpu>& stream, const LookupShape& shape, const OwnerState<Cpu>& owner,
                  float* answers) {
  const bool one_rank = shape.ranks == 1;
  for_each(stream, static_cast<std::int64_t>(owner.parts.parts.size()), [&](std::int64_t p) {
    const BagPart& part = owner.parts.parts[static_cast<std::size_t>(p)];
    const FeatureShape& feature = shape.features[part.feature];
    const auto table = static_cast<std::size_t>(feature.table);
    std::int64_t state_offset = 0;
    for (const FeatureGroup& group : feature.groups) {
      std::visit(
          [&](auto c) {
            ReducePart<decltype(c), kColumns>{owner.parts.parts.data(),
                                              owner.parts.words.data(),
                                              owner.blocks.data(),
                                              one_rank ? nullptr : owner.distinct.inverse.data(),
                                              owner.parts.shards.data(),
                                              shape.node_of_shard.data(),
                                              owner.values.data() + owner.bases[table],
                                              owner.firsts[table],
                                              shape.dims[table],
                                              group.offset,
                                              group.dim,
                                              feature.state_floats,
                                              state_offset,
                                              owner.answers.bases.data(),
                                              answers}(p, Solo{});
          },
          group.combiner);
      state_offset += group.dim * state_floats(group.combiner);
    }
  });
}

template <>
void merge_parts(Stream<Cpu>& stream, const LookupShape& shape, AskerState<Cpu>& asker,
                 Span<const MatrixView<float>> pooled) {
  if (asker.parts.starts.empty()) {
    return;
  }
  for (std::int64_t f = 0; f < shape.num_features(); ++f) {
    const FeatureShape& feature = shape.features[static_cast<std::size_t>(f)];
    if (asker.reduced[static_cast<std::size_t>(feature.table)] == 0) {
      continue;
    }
    std::int64_t state_offset = 0;
    for (std::size_t g = 0; g < feature.groups.size(); ++g) {
      const FeatureGroup& group = feature.groups[g];
      std::visit(
          [&](auto c) {
            for_each_row(
                stream, asker.samples,
                MergeParts<decltype(c), kColumns>{
                    asker.parts.parts.data(), asker.parts.starts.data(), asker.answers.bases.data(),
                    asker.values.data(), asker.distinct.inverse.data(), asker.shards.data(),
                    shape.node_of_shard.data(), asker.bags(), shape.num_features(), f,
                    feature.state_floats, state_offset, group.dim, pooled[g], group.column,
                    group.state_column < 0 ? nullptr : asker.states.data(), shape.kept_floats,
                    group.state_column});
          },
          group.combiner);
      state_offset += group.dim * state_floats(group.combiner);
    }
  }
}

}  // namespace keyshard
