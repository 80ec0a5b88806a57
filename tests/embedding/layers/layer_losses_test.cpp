// Losses and metrics of a layer, on one rank and on several.
#include "embedding/layers/layer_losses.hpp"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "embedding/layers/embedding.hpp"
#include "tests/embedding/layers/layer_on_ranks.hpp"

namespace keyshard::testing {
namespace {

TEST(Losses, ComeInOrderUntilTheNextStepAndThenTheCallables) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    const std::vector<Key> ids{1};
    const IdsView inputs{ids, {1}, {}};
    double now = 10;
    layer.add_loss([&] { return now; });
    layer.add_loss(1);
    layer.add_loss({2, 3}, &inputs);
    EXPECT_EQ(layer.losses(), (std::vector<double>{1, 2, 3, 10}));
    now = 20;
    EXPECT_EQ(layer.losses(), (std::vector<double>{1, 2, 3, 20}));
    tables.apply(stream, {});
    EXPECT_EQ(layer.losses(), std::vector<double>{20});
    layer.add_loss(4);
    EXPECT_EQ(layer.losses(), (std::vector<double>{4, 20}));
  });
}

TEST(Losses, ThatDifferFailOnEveryRank) {
  run_ranks(3, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, items());
    layer.add_loss(communicator.rank() == 2 ? 1.5 : 1);
    EXPECT_EQ(message_of([&] { layer.losses(); }),
              "layer items: expected the same losses on all ranks: found [1] on rank 0 and [1.5] "
              "on rank 2");
  });
}

TEST(Losses, OfActivityArePerSampleOfTheGlobalBatchAndHaveAGradient) {
  LayerOptions options = items();
  options.activity_regularizer = ActivityOptions{0.5, 2, ""};
  on_ranks(
      [](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
        const Batch batch(tables.communicator());
        EXPECT_EQ(layer(stream, batch.view(), {.training = false, .slices = &batch.slices}).batch,
                  12);
        EXPECT_TRUE(layer.losses().empty());  // inference adds none
        const LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
        // 12 samples of two numbers 0.5: 24 (0.5 * 0.5 + 2 * 0.25) / 12.
        EXPECT_EQ(layer.losses(), std::vector<double>{1.5});
        const std::vector<float> upstream(batch.ids.size() * 2, 0.25f);
        layer.backward(stream, output, upstream.data());
        tables.apply(stream, {});
        // The gradient is 0.25 + (0.5 + 2 * 2 * 0.5) / 12.
        for (const float value : layer.get_weights().values) {
          EXPECT_EQ(value, 0.5f - (0.25f + static_cast<float>(2.5 / 12)));
        }
      },
      options);
}

TEST(Losses, OfActivityOfOneBagAreNotDivided) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    layer.set_activity_regularizer(ActivityOptions{1, 0, ""});
    const std::vector<Key> ids{1, 2, 3};
    const std::int64_t n = tables.communicator().rank() == 0 ? 3 : 0;
    layer(stream, {Span<const Key>(ids).first(n), {n}, {}});
    EXPECT_EQ(layer.losses(), std::vector<double>{2 * 1.5});
  });
}

/// f(y) = y^3.
struct Cube {
  KEYSHARD_HD double value(float y) const { return double{y} * y * y; }

  KEYSHARD_HD double derivative(float y) const { return 3 * double{y} * y; }
};

TEST(Losses, OfAnOutputHaveTheirGradient) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>& stream) {
    const Batch batch(tables.communicator());
    LayerOutput<Cpu> output = layer(stream, batch.view(), batch.call());
    layer.add_loss(stream, output, output_function<Cpu>("cube", Cube{}), 2);
    EXPECT_EQ(layer.losses(), std::vector<double>{2 * 24 * 0.125});
    layer.backward(stream, output, std::vector<float>(batch.ids.size() * 2, 0).data());
    tables.apply(stream, {});
    for (const float value : layer.get_weights().values) {
      EXPECT_EQ(value, 0.5f - 2 * 3 * 0.25f);
    }
  });
}

TEST(Losses, HaveTheSameBitsOnAnyNumberOfRanks) {
  std::set<double> found;
  LayerOptions options = items();
  options.initializer = Normal{};
  options.activity_regularizer = ActivityOptions{0.1, 0.7, ""};
  for (const int ranks : {1, 2, 3, 5}) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Embedding<Cpu> layer(tables, options);
      const Batch batch(communicator);
      layer(stream, batch.view(), batch.call());
      const std::vector<double> losses = layer.losses();
      if (communicator.rank() == 0) {
        found.insert(losses.at(0));
      }
    });
  }
  EXPECT_EQ(found.size(), 1u);
}

TEST(Metrics, AreRunningMeansInTheOrderOfFirstUse) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    Communicator<Cpu>& communicator = tables.communicator();
    const Batch batch(communicator);
    std::vector<double> values;
    for (const Key id : batch.ids) {  // two values of each sample: id and id + 1
      values.insert(values.end(), {static_cast<double>(id), static_cast<double>(id) + 1});
    }
    layer.add_metric(values, batch.slices, "ids");
    layer.add_metric(communicator.rank() + 1.0, "rank");
    layer.add_metric(values, batch.slices, "ids");
    const std::vector<LayerMetric*> metrics = layer.metrics();
    ASSERT_EQ(metrics.size(), 2u);
    EXPECT_EQ(metrics[0]->name(), "ids");
    EXPECT_EQ(metrics[1]->name(), "rank");
    EXPECT_EQ(metrics[0]->result(communicator), 6);  // of 0 .. 11 the mean is 5.5, of 1 .. 12 6.5
    EXPECT_EQ(layer.result(*metrics[1]), (communicator.size() + 1) / 2.0);
    metrics[1]->reset();
    EXPECT_EQ(layer.result(*metrics[1]), 0);
    layer.add_metric(3, "rank");
    EXPECT_EQ(layer.result(*metrics[1]), 3);
  });
}

TEST(Metrics, HaveTheSameBitsOnAnyNumberOfRanks) {
  std::set<double> found;
  for (const int ranks : {1, 2, 3, 5}) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, items());
      const Batch batch(communicator);
      std::vector<double> values;
      for (const Key id : batch.ids) {
        values.push_back(std::sqrt(static_cast<double>(id) + 0.1));
      }
      layer.add_metric(values, batch.slices, "roots");
      const double result = layer.result(*layer.metrics()[0]);
      if (communicator.rank() == 0) {
        found.insert(result);
      }
    });
  }
  EXPECT_EQ(found.size(), 1u);
}

TEST(Metrics, RefuseWhatHasNoMeaning) {
  on_ranks([](SquashedEmbedding<Cpu>& layer, TableSet<Cpu>& tables, Stream<Cpu>&) {
    EXPECT_NE(message_of([&] { layer.add_metric(1); }).find("name"), std::string::npos);
    EXPECT_NE(message_of([&] { layer.add_metric(1, "a", "sum"); }).find("aggregation = mean"),
              std::string::npos);
    const Batch batch(tables.communicator());
    message_of([&] { layer.add_metric(std::vector<double>{1, 2, 3}, batch.slices, "a"); });
    EXPECT_TRUE(layer.metrics().empty());
    layer.add_metric(1, "a");
    const bool same = tables.communicator().size() == Batch::kSlices;
    EXPECT_FALSE(same);
    message_of([&] { layer.add_metric(std::vector<double>(batch.ids.size()), batch.slices, "a"); });
  });
}

}  // namespace
}  // namespace keyshard::testing
