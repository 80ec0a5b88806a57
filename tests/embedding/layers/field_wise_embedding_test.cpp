// FieldWiseEmbedding on small batches worked by hand.
#include "embedding/layers/field_wise_embedding.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

struct Modulo {
  std::int64_t slots;

  KEYSHARD_HD std::int64_t operator()(Key id) const {
    return static_cast<std::int64_t>(id) % slots;
  }
};

LayerOptions items(const std::string& combiner = "sum") {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 2;
  options.combiner = combiner;
  options.initializer = Constant{1};
  options.optimizer = Sgd{1};
  return options;
}

const std::vector<Key> kIds{23, 12, 0, 9, 13, 10};

std::vector<float> values_of(const LayerOutput<Cpu>& output) {
  return {output.values.data(), output.values.data() + output.values.size()};
}

/// The output of rank 0 for the ids as [2, 3], which rank 0 alone has, in three slots.
std::vector<float> pooled(const std::string& combiner, int ranks,
                          Span<const std::uint8_t> mask = {}) {
  std::vector<float> result;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    FieldWiseEmbedding<Cpu> layer(tables, items(combiner), 3, slot_map<Cpu>("", Modulo{3}));
    const bool root = communicator.rank() == 0;
    const std::int64_t samples = root ? 2 : 0;
    const IdsView ids{Span<const Key>(kIds).first(3 * samples), {samples, 3}, {}};
    const LayerOutput<Cpu> output =
        layer(stream, ids, {.mask = root ? mask : Span<const std::uint8_t>()});
    EXPECT_EQ(output.shape, (std::vector<std::int64_t>{samples, 3, 2}));
    if (root) {
      result = values_of(output);
    }
  });
  return result;
}

TEST(FieldWiseEmbedding, PoolsTheIdsOfEachSlot) {
  const float root = std::sqrt(2.0f);
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(pooled("sum", ranks), (std::vector<float>{2, 2, 0, 0, 1, 1, 1, 1, 2, 2, 0, 0}));
    EXPECT_EQ(pooled("mean", ranks), (std::vector<float>{1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0}));
    for (const char* name : {"sqrtn", "sqrt_n"}) {
      EXPECT_EQ(pooled(name, ranks), (std::vector<float>{2 / root, 2 / root, 0, 0, 1, 1, 1, 1,
                                                         2 / root, 2 / root, 0, 0}));
    }
  }
}

TEST(FieldWiseEmbedding, MaskedIdsAreInNoSlot) {
  const std::vector<std::uint8_t> mask{1, 0, 1, 1, 1, 0};
  EXPECT_EQ(pooled("sum", 2, mask), (std::vector<float>{1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0}));
}

TEST(FieldWiseEmbedding, GivesEachIdTheGradientOfItsSlot) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      FieldWiseEmbedding<Cpu> layer(tables, items(), 3, slot_map<Cpu>("", Modulo{3}));
      // Each rank has the sample {4, 9, 4}: slot 0 has 9, slot 1 has 4 twice.
      const std::vector<Key> ids{4, 9, 4};
      const LayerOutput<Cpu> output = layer(stream, {ids, {1, 3}, {}});
      layer.backward(stream, output, std::vector<float>{1, 2, 3, 4, 5, 6}.data());
      tables.apply(stream, {});
      const auto n = static_cast<float>(communicator.size());
      const LayerWeights mine = layer.get_weights();
      for (std::size_t i = 0; i < mine.keys.size(); ++i) {
        const bool nine = mine.keys[i] == 9;
        EXPECT_EQ(mine.values[2 * i], 1 - n * (nine ? 1.0f : 6.0f));
        EXPECT_EQ(mine.values[2 * i + 1], 1 - n * (nine ? 2.0f : 8.0f));
      }
      EXPECT_EQ(layer.count_params(), 4);
    });
  }
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.text();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

TEST(FieldWiseEmbedding, RefusesBadIdsOfOneRankOnAll) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    FieldWiseEmbedding<Cpu> layer(tables, items(), 3, slot_map<Cpu>("", Modulo{4}));
    EXPECT_EQ(layer.input_spec(), (InputSpec{.dtype = "int64", .ndim = 2}));
    const std::vector<Key> good{4, 9}, bad{4, 11};
    const std::vector<std::int64_t> offsets{0, 1, 2};
    const auto refused = [&](const IdsView& ids) {
      const bool mine = communicator.rank() == 1;
      return message_of([&] { layer(stream, mine ? ids : IdsView{good, {1, 2}, {}}); });
    };
    const std::string start = communicator.rank() == 1
                                  ? ""
                                  : "expected a batch from every rank: rank 1 refused its own: ";
    EXPECT_EQ(refused({bad, {1, 2}, {}}),
              start +
                  "layer items: expected slot_map_fn to give slots from 0 to 2: found slot 3 for "
                  "id 11");
    EXPECT_EQ(refused({good, {2}, {}}),
              start +
                  "Input 0 of layer items is incompatible with the layer: expected ndim=2, found "
                  "ndim=1. Full shape received: [2]");
    EXPECT_EQ(refused({good, {}, offsets}),
              start + "layer items: expected rectangular ids [B, n]: found 2 ragged lists");
    EXPECT_NO_THROW(layer(stream, {good, {1, 2}, {}}));
    // A masked id is not asked for its slot.
    const std::vector<std::uint8_t> mask{1, 0};
    EXPECT_NO_THROW(layer(stream, {bad, {1, 2}, {}}, {.mask = mask}));
  });
}

TEST(FieldWiseEmbedding, AnExceptionOfTheSlotMapEndsTheCallOnAllRanks) {
  run_ranks(2, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    const SlotMap<Cpu> throws{"", [&](Stream<Cpu>&, Span<const Key>, std::int64_t*) {
                                if (communicator.rank() == 1) {
                                  throw std::runtime_error("no slot");
                                }
                              }};
    FieldWiseEmbedding<Cpu> layer(tables, items(), 3, throws);
    EXPECT_THROW(layer(stream, {{}, {0, 2}, {}}), std::runtime_error);
  });
}

TEST(FieldWiseEmbedding, RefusesBadOptionsWhenItIsMade) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    const SlotMap<Cpu> modulo = slot_map<Cpu>("", Modulo{3});
    const auto make = [&](const LayerOptions& options, std::int64_t nslots,
                          const SlotMap<Cpu>& map) {
      return message_of([&] { FieldWiseEmbedding<Cpu>(tables, options, nslots, map); });
    };
    EXPECT_NE(make(items(), 0, modulo).find("nslots >= 1"), std::string::npos);
    EXPECT_NE(make(items(), 3, {}).find("slot_map_fn is not callable"), std::string::npos);
    EXPECT_NE(make(items("max"), 3, modulo).find("sum, mean, sqrtn"), std::string::npos);
    EXPECT_TRUE(tables.tables().empty());
  });
}

TEST(FieldWiseEmbedding, KnowsItsOutputShape) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    const FieldWiseEmbedding<Cpu> layer(tables, items(), 3, slot_map<Cpu>("", Modulo{3}));
    EXPECT_EQ(layer.compute_output_shape(FreeShape{std::nullopt, 5}),
              (FreeShape{std::nullopt, 3, 2}));
    EXPECT_THROW(layer.compute_output_shape(FreeShape{5}), Error);
  });
}

}  // namespace
}  // namespace keyshard::testing
