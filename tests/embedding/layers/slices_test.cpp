// Numbers of slices that are no power of two: a single rank then makes one partial sum per node of
// its run, as several ranks do.
#include <map>
#include <mutex>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kSlices = 12;

/// The id of the one sample of a slice: two keys, in turn.
Key id_of(std::int64_t slice) { return static_cast<Key>(slice % 2 == 0 ? 7 : 9); }

/// Gradients whose sum shows the order of adding.
float gradient_of(std::int64_t slice) {
  return slice % 3 == 0 ? 1.0f + static_cast<float>(slice) * 0x1p-20f : 0x1p-24f;
}

/// The sum of the gradients of a key by the definition: the complete binary tree over slices.
float tree_sum(Key key, std::int64_t begin, std::int64_t size, bool& any) {
  if (size == 1) {
    any = begin < kSlices && id_of(begin) == key;
    return any ? gradient_of(begin) : 0;
  }
  bool has_left = false, has_right = false;
  const float left = tree_sum(key, begin, size / 2, has_left);
  const float right = tree_sum(key, begin + size / 2, size / 2, has_right);
  any = has_left || has_right;
  return has_left && has_right ? left + right : has_left ? left : right;
}

/// The values of the keys after one step of SGD at rate 1 from zeros, by key.
std::map<Key, float> stepped(int ranks) {
  std::map<Key, float> values;
  std::mutex mutex;
  testing::run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options;
    options.name = "items";
    options.embedding_size = 1;
    options.initializer = Constant{0};
    options.optimizer = Sgd{1.0f};
    Embedding<Cpu> layer(tables, options);
    SliceLayout slices{kSlices, run_of(communicator.rank(), ranks, kSlices), {0}};
    std::vector<Key> ids;
    std::vector<float> upstream;
    for (std::int64_t slice = slices.run.begin; slice < slices.run.end; ++slice) {
      ids.push_back(id_of(slice));
      upstream.push_back(gradient_of(slice));
      slices.offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
    const LayerOutput<Cpu> output =
        layer.forward(stream, {ids, {static_cast<std::int64_t>(ids.size())}, {}}, true, &slices);
    layer.backward(stream, output, upstream.data());
    tables.apply(stream, {});
    for (const Key key : {Key{7}, Key{9}}) {
      if (layer.table().shards().contains(shard_of(layer.table().partitioner(), key))) {
        RowId row = kNoRow;
        float value = 0;
        layer.table().find(stream, Span<const Key>(&key, 1), &row);
        layer.table().read(stream, Span<const Key>(&key, 1), &row, false, &value);
        const std::lock_guard lock(mutex);
        values[key] = value;
      }
    }
  });
  return values;
}

TEST(Slices, ThatAreNoPowerOfTwoAreFoldedInTheirTreeOnAnyNumberOfRanks) {
  bool any = false;
  const float seven = tree_sum(7, 0, 16, any), nine = tree_sum(9, 0, 16, any);
  const std::map<Key, float> expected{{7, 0.0f - seven}, {9, 0.0f - nine}};
  for (const int ranks : testing::rank_counts({1, 2, 3, 5, 8})) {
    EXPECT_EQ(stepped(ranks), expected) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace keyshard
