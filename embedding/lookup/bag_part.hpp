// Reduced form: an owner pools its part of a bag and the asker folds the parts. Part and functors
// of both sides.
#pragma once

#include <cstdint>

#include "embedding/lookup/bag_functors.hpp"

namespace keyshard {

/// One owner's part of one bag. It travels as the words count, feature, slice, and the `count`
/// items: numbers of keys in the block.
struct BagPart {
  static constexpr std::uint32_t kHeaderWords = 3;

  std::uint32_t bag;    ///< asker: bag of the batch
  std::uint32_t block;  ///< rank * tables + table
  std::uint32_t feature;
  std::uint32_t slice;  ///< of the global batch
  std::uint32_t count;  ///< ids
  std::uint32_t unused;
  std::int64_t items;  ///< asker: first id in the ordered inverse; owner: first item in the words
  std::int64_t state;  ///< where its states start in its block: one per node of the owner's run of
                       ///< shards that it touches
  std::int64_t back;   ///< where its backward message starts in its block
};

/// Folds the states of the parts of one feature of a sample, and writes its pooled value; 0 for an
/// empty bag.
template <class C, int kColumns>
struct MergeParts {
  const BagPart* parts;
  const std::int64_t* starts;  ///< [bags + 1]
  const std::int64_t* bases;   ///< of the blocks in `answers`
  const float* answers;
  const std::uint32_t* items;
  const std::uint16_t* shards;  ///< of the distinct keys
  const std::uint16_t* node_of_shard;
  BagRanges bags;
  std::int64_t features;
  std::int64_t feature;
  std::int64_t state_floats;  ///< of one state, all groups
  std::int64_t state_offset;  ///< of the group in it
  std::int64_t dim;
  MatrixView<float> pooled;
  std::int64_t column;
  float* states;
  std::int64_t state_stride;
  std::int64_t state_column;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t sample, const Team& team) const {
    using State = typename C::State;
    const std::int64_t bag = sample * features + feature;
    float* out = pooled.row(sample) + column;
    for_columns<kColumns>(team, dim, [&](std::int64_t first, auto width) {
      StateStack<C, kColumns> stack;
      Fold<State, C, decltype(width)> fold(stack.states, width);
      for (std::int64_t p = starts[bag]; p < starts[bag + 1]; ++p) {
        push_part(fold, parts[p], first, width);
      }
      const State* state = fold.finish(Solo{});
      for (std::int64_t d = 0; d < width; ++d) {
        out[first + d] = state == nullptr ? 0.0f : C::value(state[d], bags.size(bag));
      }
      if (states != nullptr && state != nullptr) {
        auto* kept = reinterpret_cast<State*>(states + sample * state_stride + state_column);
        for (std::int64_t d = 0; d < width; ++d) {
          kept[first + d] = state[d];
        }
      }
    });
  }

  template <class Width>
  KEYSHARD_HD void push_part(Fold<typename C::State, C, Width>& fold, const BagPart& part,
                             std::int64_t first, Width width) const {
    const float* answer = answers + bases[part.block] + part.state + state_offset;
    std::int64_t node = -1;
    for (std::uint32_t j = 0; j < part.count; ++j) {
      const std::int64_t next = node_of_shard[shards[items[part.items + j]]];
      if (next != node) {
        const auto* state = reinterpret_cast<const typename C::State*>(answer) + first;
        typename C::State* to = fold.push(Solo{}, next);
        for (std::int64_t d = 0; d < width; ++d) {
          to[d] = state[d];
        }
        answer += state_floats;
        node = next;
      }
    }
  }
};

/// Pools one part at the owner: a state per node of its run of shards that the part touches.
template <class C, int kColumns>
struct ReducePart {
  const BagPart* parts;
  const std::uint32_t* words;
  const std::int64_t* key_blocks;  ///< of the received keys
  const std::uint32_t* inverse;    ///< distinct key of each received one; null: itself
  const std::uint16_t* shards;     ///< of the received keys
  const std::uint16_t* node_of_shard;
  const float* values;          ///< of the distinct keys of the table
  std::int64_t first_distinct;  ///< of the table
  std::int64_t row_dim;
  std::int64_t row_offset;
  std::int64_t dim;
  std::int64_t state_floats;
  std::int64_t state_offset;
  const std::int64_t* bases;
  float* answers;

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t p, const Team& team) const {
    for_columns<kColumns>(team, dim,
                          [&](std::int64_t first, auto width) { reduce(parts[p], first, width); });
  }

  template <class Width>
  KEYSHARD_HD void reduce(const BagPart& part, std::int64_t first, Width width) const {
    using State = typename C::State;
    StateStack<C, kColumns> stack;
    Fold<State, C, decltype(width)> fold(stack.states, width);
    float* answer = answers + bases[part.block] + part.state + state_offset;
    std::int64_t node = -1;
    for (std::uint32_t j = 0; j < part.count; ++j) {
      const std::int64_t received = key_blocks[part.block] + words[part.items + j];
      const std::int64_t shard = shards[received];
      if (node_of_shard[shard] != node && !fold.empty()) {
        write(fold.finish(Solo{}), first, width, answer);
        answer += state_floats;
      }
      node = node_of_shard[shard];
      const std::int64_t key = inverse == nullptr ? received : inverse[received];
      const float* x = values + (key - first_distinct) * row_dim + row_offset + first;
      const bool starts = !fold.continues(shard);
      State* state = starts ? fold.push(Solo{}, shard) : fold.top();
      for (std::int64_t d = 0; d < width; ++d) {
        state[d] = starts ? C::start(x[d]) : C::add(state[d], x[d]);
      }
    }
    write(fold.finish(Solo{}), first, width, answer);
  }

  template <class Width>
  KEYSHARD_HD static void write(const typename C::State* state, std::int64_t first, Width width,
                                float* answer) {
    auto* to = reinterpret_cast<typename C::State*>(answer) + first;
    for (std::int64_t d = 0; d < width; ++d) {
      to[d] = state[d];
    }
  }
};

}  // namespace keyshard
