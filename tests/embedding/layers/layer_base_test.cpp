// What a layer is to a Keras user apart from its rows, on one rank and on several.
#include "embedding/layers/layer_base.hpp"

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "collectives/thread_communicator.hpp"
#include "embedding/layers/embedding.hpp"
#include "runtime/copy.hpp"
#include "runtime/digest.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

TEST(Layer, HasTheFixedAnswersOfKeras) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>&, Stream<Cpu>&) {
    EXPECT_EQ(layer.name(), "items");
    EXPECT_FALSE(layer.dynamic());
    EXPECT_TRUE(layer.supports_masking());
    EXPECT_TRUE(layer.submodules().empty());
    EXPECT_EQ(layer.dtype(), "float32");
    EXPECT_EQ(layer.variable_dtype(), "float32");
    EXPECT_EQ(layer.compute_dtype(), "float32");
    EXPECT_EQ(layer.dtype_policy(), (DtypePolicy{"float32", "float32", "float32"}));
    EXPECT_EQ(layer.activity_regularizer(), nullptr);
    EXPECT_TRUE(layer.metrics().empty());
  });
}

TEST(Layer, ASubclassListsItsOwnLayers) {
  struct Tower : SquashedEmbedding<Cpu> {
    Tower(TableSet<Cpu>& tables, LayerBase& part)
        : SquashedEmbedding(tables, items("tower")), inner(&part) {}

    std::vector<LayerBase*> submodules() override { return {inner}; }

    LayerBase* inner;
  };

  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    Tower tower(tables, layer);
    LayerBase& base = tower;
    EXPECT_EQ(base.submodules(), std::vector<LayerBase*>{&layer});
  });
}

TEST(Layer, NamesAreUniqueOnACommunicator) {
  on_ranks([](SquashedEmbedding<Cpu>&, TableSet<Cpu>& tables, Stream<Cpu>&) {
    LayerOptions options = items();
    TableSet<Cpu> others(tables.communicator());
    for (TableSet<Cpu>* set : {&tables, &others}) {
      const std::string taken = message_of([&] { Embedding<Cpu>(*set, options); });
      EXPECT_NE(taken.find("share = \"items\""), std::string::npos) << taken;
    }
    EXPECT_TRUE(others.tables().empty());
    const auto another = tables.communicator().duplicate();
    TableSet<Cpu> apart(*another);
    EXPECT_NO_THROW(Embedding<Cpu>(apart, options));
    options.share = "items";
    message_of([&] { Embedding<Cpu>(tables, options); });
    options.name = "again";
    const Embedding<Cpu> again(tables, options);
    message_of([&] { Embedding<Cpu>(tables, options); });
    EXPECT_EQ(tables.tables().size(), 1u);
  });
}

TEST(Layer, GivesItsNameBackWithItsEnd) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    LayerOptions options = items("again");
    options.share = "items";
    std::optional<SquashedEmbedding<Cpu>> again(SquashedEmbedding<Cpu>(tables, options));
    message_of([&] { Embedding<Cpu>(tables, options); });  // it has moved, and lives
    again.reset();
    EXPECT_EQ(&Embedding<Cpu>(tables, options).table(), &layer.table());
    // A layer that is refused for another reason takes no name.
    options.embedding_size = 3;
    message_of([&] { Embedding<Cpu>(tables, options); });
    options.embedding_size = 2;
    EXPECT_NO_THROW(Embedding<Cpu>(tables, options));
  });
}

TEST(Layer, ANameThatOneRankStillHasIsRefusedOnAll) {
  on_ranks([](SquashedEmbedding<Cpu>&, TableSet<Cpu>& tables, Stream<Cpu>&) {
    LayerOptions options = items("again");
    options.share = "items";
    std::optional<Embedding<Cpu>> again(Embedding<Cpu>(tables, options));
    const int last = tables.communicator().size() - 1;
    if (tables.communicator().rank() != last) {
      again.reset();
    }
    const std::string taken = message_of([&] { Embedding<Cpu>(tables, options); });
    EXPECT_TRUE(taken.starts_with("rank " + std::to_string(last) + ": expected a new name"))
        << taken;
    again.reset();
    EXPECT_NO_THROW(Embedding<Cpu>(tables, options));
  });
}

TEST(Layer, ScopesAreNestedAndNameErrors) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    EXPECT_EQ(layer.name_scope(), "items/");
    const std::string inner = layer.with_name_scope([&] {
      SquashedEmbedding<Cpu> part(tables, items("part"));
      const std::string message = message_of([&] {
        part.with_name_scope([]() -> void { fail(Kind::invalid_argument, "expected nothing"); });
      });
      EXPECT_EQ(message, "items/part/: expected nothing");
      return part.name_scope();
    });
    EXPECT_EQ(inner, "items/part/");
    EXPECT_EQ(SquashedEmbedding<Cpu>(tables, items("last")).name_scope(), "last/");
  });
}

TEST(Layer, ScopesStandBeforeTheNamesOfTablesAndInErrors) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    LayerOptions sharing = items("sharing");
    sharing.share = "part";
    layer.with_name_scope([&] {
      const SquashedEmbedding<Cpu> part(tables, items("part"));
      EXPECT_EQ(part.name(), "part");
      EXPECT_EQ(part.path(), "items/part");
      EXPECT_EQ(part.weights()[0].name, "items/part");
      EXPECT_EQ(part.table().options().seed, hash_bytes("items/part"));
      const std::string taken = message_of([&] { Embedding<Cpu>(tables, items("part")); });
      EXPECT_NE(taken.find("found \"items/part\", which exists"), std::string::npos) << taken;
      EXPECT_EQ(&SquashedEmbedding<Cpu>(tables, sharing).table(), &part.table());
      sharing.name = "outer";
      sharing.share = "items";
      EXPECT_EQ(&SquashedEmbedding<Cpu>(tables, sharing).table(), &layer.table());
      const std::string unknown = message_of([&] { part.input(); });
      EXPECT_TRUE(unknown.starts_with("layer items/part: expected a layer")) << unknown;
      const std::string kept = message_of([&] { Embedding<Cpu>(tables, items("sightings")); });
      EXPECT_NE(kept.find("expected another name inside a scope"), std::string::npos) << kept;
    });
    const SquashedEmbedding<Cpu> part(tables, items("part"));  // outside it is another one
    EXPECT_EQ(part.weights()[0].name, "part");
    sharing.name = "inner";
    sharing.share = "items/part";
    EXPECT_EQ(SquashedEmbedding<Cpu>(tables, sharing).weights()[0].name, "items/part");
    EXPECT_EQ(tables.tables().size(), 3u);
  });
}

TEST(Layer, ScopesHoldOneAnother) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    layer.with_name_scope([&] {
      SquashedEmbedding<Cpu> part(tables, items("part"));
      const std::string error = message_of([&] {
        part.with_name_scope([&] {
          const SquashedEmbedding<Cpu> inner(tables, items("inner"));
          EXPECT_EQ(inner.path(), "items/part/inner");
          LayerOptions sharing = items("sharing");
          sharing.share = "part";  // of the outer scope
          EXPECT_EQ(&SquashedEmbedding<Cpu>(tables, sharing).table(), &part.table());
          inner.output();
        });
      });
      EXPECT_TRUE(error.starts_with("layer items/part/inner: expected")) << error;
    });
  });
}

TEST(InputSpec, SaysWhatDoesNotFitAsKerasDoes) {
  const std::string start = "Input 0 of layer conv is incompatible with the layer: ";
  const auto message = [](const InputSpec& spec, const FreeShape& shape) {
    return message_of([&] { check_input(spec, "conv", {"int64", shape}); });
  };
  EXPECT_EQ(message({.ndim = 4}, {2}),
            start + "expected ndim=4, found ndim=1. Full shape received: [2]");
  EXPECT_EQ(message({.min_ndim = 1}, {}),
            start + "expected min_ndim=1, found ndim=0. Full shape received: []");
  EXPECT_EQ(message({.max_ndim = 1}, {2, 3}),
            start + "expected max_ndim=1, found ndim=2. Full shape received: [2, 3]");
  EXPECT_EQ(message({.dtype = "int32"}, {2}),
            start + "expected dtype=int32, found dtype=int64. Full shape received: [2]");
  EXPECT_EQ(message({.shape = FreeShape{std::nullopt, 3}}, {2, 4}),
            start + "expected shape=[None, 3], found shape=[2, 4]. Full shape received: [2, 4]");
  EXPECT_NO_THROW(check_input({.shape = FreeShape{std::nullopt, 3}}, "conv", {"int64", {2, 3}}));
  EXPECT_NO_THROW(check_input({.shape = FreeShape{2, 3}}, "conv", {"int64", {2, std::nullopt}}));
  EXPECT_NO_THROW(check_input({}, "conv", {"int64", {}}));
}

TEST(InputSpec, IsCheckedAtEveryCallOnEveryRank) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    EXPECT_EQ(layer.input_spec(), (InputSpec{.dtype = "int64", .min_ndim = 1}));
    layer.set_input_spec({.ndim = 3});
    const std::vector<Key> ids{1, 2};
    EXPECT_EQ(message_of([&] {
                layer(stream, {ids, {1, 2}, {}});
              }),
              "Input 0 of layer items is incompatible with the layer: expected ndim=3, found "
              "ndim=2. Full shape received: [1, 2]");
    EXPECT_NO_THROW(layer(stream, {ids, {1, 2, 1}, {}}));
    EXPECT_EQ(Embedding<Cpu>(tables, items("rows")).input_spec(), InputSpec{.dtype = "int64"});
  });
}

TEST(Layer, KnowsTheShapesOfItsInputAndOutput) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>&, Stream<Cpu>& stream) {
    EXPECT_NE(message_of([&] { layer.input(); }).find("not yet"), std::string::npos);
    EXPECT_NE(message_of([&] { layer.output(); }).find("not yet"), std::string::npos);
    const std::vector<Key> ids{1, 2, 3, 4, 5, 6};
    layer(stream, {ids, {2, 3}, {}});
    layer(stream, {ids, {3, 2}, {}}, {.training = false});
    EXPECT_EQ(layer.input(), (TensorSpec{"int64", {std::nullopt, 2}}));
    EXPECT_EQ(layer.output(), (TensorSpec{"float32", {std::nullopt, 2}}));
    layer(stream, {ids, {6}, {}});
    EXPECT_NE(message_of([&] { layer.input(); }).find("found several"), std::string::npos);
    EXPECT_NE(message_of([&] { layer.output(); }).find("found several"), std::string::npos);
  });
}

TEST(Layer, ComputesOutputShapesWithoutBuilding) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    const FreeShape free{std::nullopt, 3, std::nullopt};
    EXPECT_EQ(layer.compute_output_shape(free), (FreeShape{std::nullopt, 2}));
    EXPECT_EQ(layer.compute_output_shape(FreeShape{std::nullopt}), FreeShape{2});
    EXPECT_EQ(layer.compute_output_shape(std::vector<std::int64_t>{4, 3}),
              (std::vector<std::int64_t>{4, 2}));
    message_of([&] { layer.compute_output_shape(FreeShape{}); });
    EXPECT_FALSE(layer.built());
    const Embedding<Cpu> rows(tables, items("rows"));
    EXPECT_EQ(rows.compute_output_shape(free), (FreeShape{std::nullopt, 3, std::nullopt, 2}));
    EXPECT_EQ(rows.compute_output_shape(FreeShape{}), FreeShape{2});
  });
}

TEST(Layer, ThatIsNotTrainableChangesNothing) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    const Batch batch(tables.communicator());
    const std::vector<float> upstream(batch.ids.size() * 2, 1);
    layer.set_trainable(false);
    EXPECT_FALSE(layer.trainable());
    layer.backward(stream, layer(stream, batch.view(), batch.call()), upstream.data());
    tables.apply(stream, {});
    EXPECT_EQ(layer.count_params(), 0);
    layer.set_trainable(true);
    layer.backward(stream, layer(stream, batch.view(), batch.call()), upstream.data());
    tables.apply(stream, {});
    EXPECT_EQ(layer.count_params(), 2 * 12);
    for (const float value : layer.get_weights().values) {
      EXPECT_EQ(value, -0.5f);
    }
  });
}

TEST(Layer, FlagsThatDifferFailOnEveryRank) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    const Batch batch(communicator);
    const bool odd = communicator.rank() == 1;
    layer.set_trainable(!odd);
    EXPECT_NE(message_of([&] {
                layer(stream, batch.view(), batch.call());
              }).find("value of trainable on all ranks: found true on 2 of 3"),
              std::string::npos);
    layer.set_trainable(true);
    EXPECT_NE(message_of([&] {
                layer.forward(stream, batch.view(), odd, &batch.slices);
              }).find("value of training on all ranks: found true on 1 of 3"),
              std::string::npos);
  });
}

TEST(Layer, InferenceHasNoTraceAndNoBackward) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    const Batch batch(tables.communicator());
    LayerOutput<Cpu> output = layer(stream, batch.view(), {.training = false});
    EXPECT_EQ(output.trace.state(), nullptr);
    const std::vector<float> upstream(batch.ids.size() * 2, 1);
    message_of([&] { layer.backward(stream, output, upstream.data()); });
    message_of([&] { layer.add_loss(stream, output, output_function<Cpu>("", L1L2{1, 0})); });
  });
}

TEST(Layer, AnswersInferencesOfSeveralThreadsAtOnce) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = items();
    options.initializer = Normal{};
    SquashedEmbedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{1, 2, 3, 4, 5, 6};
    const LayerOutput<Cpu> alone = layer(stream, {ids, {3, 2}, {}}, {.training = false});
    const std::vector<float> expected = to_host(stream, alone.values);
    const auto ask = [&] {
      Stream<Cpu> own;
      for (int call = 0; call < 200; ++call) {
        const LayerOutput<Cpu> output = layer(own, {ids, {3, 2}, {}}, {.training = false});
        EXPECT_EQ(to_host(own, output.values), expected);
      }
    };
    std::thread other(ask);
    ask();
    other.join();
  });
}

/// Threads that call several layers of one job at once, on every rank; thread t of all ranks shares
/// the t-th duplicate of the communicator.
TEST(Layer, AnswersInferencesOfThreadsWithCommunicatorsOfTheirOwnOnAnyNumberOfRanks) {
  constexpr int kThreads = 3;
  const std::vector<Key> ids{1, 2, 3, 4, 5, 6};
  for (const int ranks : {1, 2, 4}) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = items();
      options.initializer = Normal{};
      SquashedEmbedding<Cpu> pooled(tables, options);
      options.name = "plain";
      Embedding<Cpu> plain(tables, options);
      const IdsView view{ids, {3, 2}, {}};
      const auto expected = to_host(stream, pooled(stream, view, {.training = false}).values);
      const auto rows = to_host(stream, plain(stream, view, {.training = false}).values);
      std::vector<std::unique_ptr<Communicator<Cpu>>> own;
      std::vector<std::thread> threads;
      for (int t = 0; t < kThreads; ++t) {
        own.push_back(communicator.duplicate());
      }
      for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, mine = own[static_cast<std::size_t>(t)].get()] {
          Stream<Cpu> thread_stream;
          const CallOptions call{.training = false, .communicator = mine};
          for (int i = 0; i < 50; ++i) {
            EXPECT_EQ(to_host(thread_stream, pooled(thread_stream, view, call).values), expected);
            EXPECT_EQ(to_host(thread_stream, plain(thread_stream, view, call).values), rows);
          }
        });
      }
      for (std::thread& thread : threads) {
        thread.join();
      }
    });
  }
}

TEST(Layer, RefusesACommunicatorOfACallThatDoesNotFit) {
  on_ranks([&](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    const Batch batch(tables.communicator());
    const auto own = tables.communicator().duplicate();
    EXPECT_EQ(message_of([&] { layer(stream, batch.view(), {.communicator = own.get()}); }),
              "layer items: expected a communicator of a call with training = false alone: found "
              "training = true");
    const auto complete = layer(stream, batch.view(), {.training = false});
    EXPECT_EQ(complete.values.size(), std::ssize(batch.ids) * 2);
  });
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    const std::vector<Key> ids{1};
    const auto two = make_thread_communicators(1);
    EXPECT_EQ(layer(stream, {ids, {1, 1}, {}}, {.training = false, .communicator = two[0].get()})
                  .values.size(),
              2);
  });
}

}  // namespace
}  // namespace keyshard::testing
