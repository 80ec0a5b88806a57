// Reduced form: an owner pools its part of a bag and the asker folds the parts. Here are the parts
// of a batch, as asker and owner see them, and the functors of both sides.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "embedding/lookup/bag_functors.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// One owner's part of one bag.
struct BagPart {
  std::uint32_t bag;    ///< asker: bag of the batch; owner: not used
  std::uint32_t block;  ///< rank * tables + table
  std::uint32_t feature;
  std::uint32_t slice;     ///< of the global batch
  std::uint32_t count;     ///< ids
  std::uint32_t weighted;  ///< 1: its ids have weights, which travel after its items; else 0
  std::int64_t items;      ///< asker: first id in the ordered inverse; owner: in the received items
  std::int64_t state;      ///< byte of its states in the answers of its block: one per node of the
                           ///< owner's run of shards that it touches
  std::int64_t back;       ///< byte of its backward message in the gradients of its block

  /// 32-bit words of its items, and of their weights.
  KEYSHARD_HD std::int64_t words() const { return std::int64_t{count} * (1 + weighted); }

  /// At the owner: the weight of item j.
  KEYSHARD_HD float weight(const std::uint32_t* received, std::uint32_t j) const {
    return std::bit_cast<float>(received[items + count + j]);
  }
};

/// The header of a part. It travels beside the items of the part, each of which is the number of a
/// key in the block, and which the weights of a weighted part follow, as the bits of floats.
struct PartHeader {
  static constexpr std::int64_t kWords = 3;
  static constexpr std::uint32_t kWeighted = 1u << 31;  ///< in `feature`: the part is weighted

  std::uint32_t count;
  std::uint32_t feature;
  std::uint32_t slice;
};

/// One id of a part at the owner, to be sorted by the number of its received key.
struct PartItem {
  std::uint32_t key;
  std::uint32_t part;
};

/// The parts of the bags of reduced tables, at the asker or at the owner, and how much each block
/// has of them.
template <Backend B>
struct BagParts {
  Buffer<BagPart, B> parts;        ///< asker: bag after bag; owner: block after block
  Buffer<std::int64_t, B> starts;  ///< asker: [bags + 1] in parts; empty where nothing is reduced
  Buffer<PartHeader, B> headers;   ///< as they travel, block after block
  Buffer<std::uint32_t, B> items;  ///< likewise
  std::vector<std::int64_t> part_counts;  ///< [ranks * tables]; empty where nothing is reduced
  std::vector<std::int64_t> item_counts;  ///< words of items and weights
  std::vector<std::int64_t> state_bytes;
  std::vector<std::int64_t> back_bytes;
  bool weighted = false;  ///< owner: there are weighted parts

  /// 32-bit words of a block that travel from asker to owner.
  std::int64_t words(std::size_t block) const {
    return part_counts.empty() ? 0 : part_counts[block] * PartHeader::kWords + item_counts[block];
  }
};

/// How many nodes of their owner's run `count` ascending shards touch. `node_of_shard` is that of
/// their table (ShapeRef::nodes_of).
template <class Shard>
KEYSHARD_HD std::int64_t count_nodes(const std::uint16_t* node_of_shard, std::uint32_t count,
                                     const Shard& shard) {
  std::int64_t nodes = 0;
  std::int64_t node = -1;
  for (std::uint32_t j = 0; j < count; ++j) {
    const std::int64_t next = node_of_shard[shard(j)];
    nodes += next != node ? 1 : 0;
    node = next;
  }
  return nodes;
}

/// One column group of one bag at the asker, by a combiner of family C: folds the states of its
/// parts; 0 for an empty bag.
template <class C, int kColumns, class Size>
struct MergeParts {
  using State = typename C::State;

  const std::uint16_t* node_of_shard;  ///< of the table
  const BagPart* parts;                ///< [num_parts] of the bag
  std::int64_t num_parts;
  const std::int64_t* bases;  ///< of the blocks of the answers
  const std::byte* answers;
  const std::uint32_t* items;   ///< ordered inverse
  const std::uint16_t* shards;  ///< of the distinct keys
  FeatureGroup group;
  std::int64_t state_bytes;  ///< of one state, all groups
  Size size;                 ///< of the bag, as size_of_bag has it
  State* kept;
  float* out;

  template <class Team>
  KEYSHARD_HD void operator()(const Team& team) const {
    for_columns<kColumns, Widths::any>(team, group.dim, [&](std::int64_t first, auto width) {
      StateStack<C, kColumns> stack;
      Fold<State, C, decltype(width)> fold(stack.states, width);
      for (std::int64_t p = 0; p < num_parts; ++p) {
        push_part(fold, parts[p], first, width);
      }
      const State* state = fold.finish(Solo{});
      if (state == nullptr) {
        for (std::int64_t d = 0; d < width; ++d) {
          out[first + d] = 0.0f;
        }
        return;
      }
      with_member<C>(group.kind, [&](auto c) {
        for (std::int64_t d = 0; d < width; ++d) {
          out[first + d] = decltype(c)::value(state[d], size);
        }
      });
      for (std::int64_t d = 0; d < width && kept != nullptr; ++d) {
        kept[first + d] = state[d];
      }
    });
  }

  template <class Width>
  KEYSHARD_HD void push_part(Fold<State, C, Width>& fold, const BagPart& part, std::int64_t first,
                             Width width) const {
    const std::byte* answer = answers + bases[part.block] + part.state + group.state;
    std::int64_t node = -1;
    for (std::uint32_t j = 0; j < part.count; ++j) {
      const std::int64_t next = node_of_shard[shards[items[part.items + j]]];
      if (next != node) {
        const State* state = reinterpret_cast<const State*>(answer) + first;
        State* to = fold.push(Solo{}, next);
        for (std::int64_t d = 0; d < width; ++d) {
          to[d] = state[d];
        }
        answer += state_bytes;
        node = next;
      }
    }
  }
};

/// Merges the parts of bag i of a batch, all column groups, where its table is reduced.
struct MergeBags {
  ShapeRef shape;
  Divider by_features;
  const std::uint8_t* reduced;  ///< of each table
  const BagPart* parts;
  const std::int64_t* starts;  ///< [bags + 1]
  const std::int64_t* bases;
  const std::byte* answers;
  const std::uint32_t* items;
  const std::uint16_t* shards;
  BagRanges bags;
  IdWeights weights;
  const MatrixView<float>* pooled;
  std::byte* kept;
  std::int64_t kept_bytes;

  std::int64_t work() const { return 50; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t bag, const Team& team) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::int64_t f = bag - std::int64_t{sample} * shape.num_features;
    const FeatureShape& feature = shape.features[f];
    if (reduced[feature.table] == 0) {
      return;
    }
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[f * shape.num_groups + g];
      with_family(group.kind,
                  [&](auto family) { merge<decltype(family)>(bag, group, pooled[g], team); });
    }
  }

  /// One column group, by a combiner of family C.
  template <class C, class Team>
  KEYSHARD_HD void merge(std::int64_t bag, const FeatureGroup& group, MatrixView<float> to,
                         const Team& team) const {
    const std::uint32_t sample = by_features.quotient(static_cast<std::uint32_t>(bag));
    const std::int64_t f = bag - std::int64_t{sample} * shape.num_features;
    const auto size = size_of_bag<C>(bags, weights, bag);
    MergeParts<C, kLaneColumns<Team>, std::remove_const_t<decltype(size)>>{
        .node_of_shard = shape.nodes_of(f),
        .parts = parts + starts[bag],
        .num_parts = starts[bag + 1] - starts[bag],
        .bases = bases,
        .answers = answers,
        .items = items,
        .shards = shards,
        .group = group,
        .state_bytes = shape.features[f].state_bytes,
        .size = size,
        .kept = kept_states<typename C::State>(kept, kept_bytes, sample, group),
        .out = to.row(sample) + group.column}(team);
  }
};

/// Pools part i at the owner: a state per node of its run of shards that the part touches.
struct ReduceParts {
  ShapeRef shape;
  const BagPart* parts;
  const std::uint32_t* items;
  const std::int64_t* key_blocks;  ///< of the received keys
  const std::uint32_t* inverse;    ///< distinct key of each received one; null: itself
  const std::uint16_t* shards;     ///< of the received keys
  const float* values;             ///< of the distinct keys
  ItemOffsets value_offset;
  const std::int64_t* bases;
  std::byte* answers;

  std::int64_t work() const { return 50; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t p, const Team& team) const {
    const BagPart& part = parts[p];
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[part.feature * shape.num_groups + g];
      with_family(group.kind_of(part.weighted != 0), [&](auto family) {
        for_columns<kLaneColumns<Team>, Widths::any>(
            team, group.dim, [&](std::int64_t first, auto width) {
              reduce<decltype(family), kLaneColumns<Team>>(part, group, first, width);
            });
      });
    }
  }

  template <class C, int kColumns, class Width>
  KEYSHARD_HD void reduce(const BagPart& part, const FeatureGroup& group, std::int64_t first,
                          Width width) const {
    using State = typename C::State;
    StateStack<C, kColumns> stack;
    Fold<State, C, Width> fold(stack.states, width);
    const std::uint16_t* node_of_shard = shape.nodes_of(part.feature);
    std::byte* answer = answers + bases[part.block] + part.state + group.state;
    std::int64_t node = -1;
    for (std::uint32_t j = 0; j < part.count; ++j) {
      const std::int64_t received = key_blocks[part.block] + items[part.items + j];
      const std::int64_t shard = shards[received];
      if (node_of_shard[shard] != node && !fold.empty()) {
        write(fold.finish(Solo{}), first, width, answer);
        answer += shape.features[part.feature].state_bytes;
      }
      node = node_of_shard[shard];
      const std::int64_t key = inverse == nullptr ? received : inverse[received];
      const float* x = values + value_offset(key) + group.offset + first;
      const bool starts = !fold.continues(shard);
      State* state = starts ? fold.push(Solo{}, shard) : fold.top();
      const float weight = TakesWeights<C> ? part.weight(items, j) : 1.0f;
      for (std::int64_t d = 0; d < width; ++d) {
        const float term = term_of<C>(x[d], &weight, 0);
        state[d] = starts ? C::start(term) : C::add(state[d], term);
      }
    }
    write(fold.finish(Solo{}), first, width, answer);
  }

  template <class State, class Width>
  KEYSHARD_HD static void write(const State* state, std::int64_t first, Width width,
                                std::byte* answer) {
    State* to = reinterpret_cast<State*>(answer) + first;
    for (std::int64_t d = 0; d < width; ++d) {
      to[d] = state[d];
    }
  }
};

/// Writes the backward message of part i at the asker.
struct WriteBacks {
  ShapeRef shape;
  Divider by_features;
  const BagPart* parts;
  BagRanges bags;
  IdWeights weights;
  const MatrixView<const float>* upstream;
  const std::byte* kept;
  std::int64_t kept_bytes;
  const std::int64_t* bases;
  std::byte* message;

  std::int64_t work() const { return 30; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t p, const Team& team) const {
    const BagPart& part = parts[p];
    for (std::int64_t g = 0; g < shape.num_groups; ++g) {
      const FeatureGroup& group = shape.groups[part.feature * shape.num_groups + g];
      with_alternative<BagCombiner>(
          group.kind, [&](auto c) { write<decltype(c)>(part, group, upstream[g], team); });
    }
  }

  /// One column group, by combiner C.
  template <class C, class Team>
  KEYSHARD_HD void write(const BagPart& part, const FeatureGroup& group,
                         MatrixView<const float> from, const Team& team) const {
    using State = typename C::State;
    const std::uint32_t sample = by_features.quotient(part.bag);
    const float* gradient = from.row(sample) + group.column;
    const State* states = kept_states<const State>(kept, kept_bytes, sample, group);
    std::byte* out = message + bases[part.block] + part.back;
    auto* backs = reinterpret_cast<typename C::Back*>(out + group.back);
    for (std::int64_t d = team.thread_rank(); d < group.dim; d += team.num_threads()) {
      const State state = C::kBackNeedsState ? states[d] : C::start(0.0f);
      backs[d] = C::back(gradient[d], state, size_of_bag<C>(bags, weights, part.bag));
    }
  }
};

}  // namespace keyshard
