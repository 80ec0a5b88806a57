// Rows of one number to 4,096 numbers through a layer, with every combiner, forward and backward,
// against a reference in double.
#include <cmath>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/reference_layer.hpp"

namespace keyshard::testing {
namespace {

const std::vector<std::vector<Key>> kBags{{1, 2, 3}, {4}, {}, {2, 5, 2, 6, 1}};
constexpr Key kKeys = 7;

/// Column d of the row of a key: a multiple of 1/64 from -100/64 to 100/64, other in every column.
float number_of(Key key, std::int64_t d) {
  const auto mixed = static_cast<std::int64_t>(key) * 7919 + d * 104729 + d / 201;
  return static_cast<float>(mixed % 201 - 100) / 64;
}

float upstream_of(std::int64_t bag, std::int64_t d) {
  return static_cast<float>((bag + 1) * (d % 5 - 2)) / 8;
}

struct Found {
  std::map<int, std::vector<float>> outputs;
  std::map<Key, std::vector<float>> rows;  ///< after a step
};

LayerWeights all_rows(std::int64_t dim) {
  LayerWeights weights{"float32", dim, {}, {}};
  for (Key key = 1; key < kKeys; ++key) {
    weights.keys.push_back(key);
    for (std::int64_t d = 0; d < dim; ++d) {
      weights.values.push_back(number_of(key, d));
    }
  }
  return weights;
}

/// The bags of a rank, a slice each.
struct Mine {
  SliceLayout slices;
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0};
  std::vector<float> upstream;

  Mine(const Communicator<Cpu>& communicator, std::int64_t dim)
      : slices{std::ssize(kBags),
               run_of(communicator.rank(), communicator.size(), std::ssize(kBags)),
               {0}} {
    for (std::int64_t b = slices.run.begin; b < slices.run.end; ++b) {
      const std::vector<Key>& bag = kBags[static_cast<std::size_t>(b)];
      ids.insert(ids.end(), bag.begin(), bag.end());
      offsets.push_back(std::ssize(ids));
      slices.offsets.push_back(slices.offsets.back() + 1);
      for (std::int64_t d = 0; d < dim; ++d) {
        upstream.push_back(upstream_of(b, d));
      }
    }
  }
};

/// One step with rate 1 on `ranks` ranks.
Found step_of(const LayerOptions& options, int ranks) {
  const std::int64_t dim = options.embedding_size;
  Found found;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, options);
    layer.build({std::nullopt, std::nullopt});
    layer.set_weights(
        stream, communicator.rank() == 0 ? all_rows(dim) : LayerWeights{"float32", dim, {}, {}});
    const Mine mine(communicator, dim);
    const LayerOutput<Cpu> output =
        layer(stream, {mine.ids, {}, mine.offsets}, {.slices = &mine.slices});
    layer.backward(stream, output, mine.upstream.data());
    tables.apply(stream, {});
    const LayerWeights rows = layer.get_weights();
    const std::lock_guard lock(mutex);
    found.outputs[communicator.rank()] = {output.values.data(),
                                          output.values.data() + output.values.size()};
    for (std::size_t i = 0; i < rows.keys.size(); ++i) {
      const auto row = rows.values.begin() + static_cast<std::ptrdiff_t>(i) * dim;
      found.rows[rows.keys[i]].assign(row, row + dim);
    }
  });
  return found;
}

void expect_near(const std::vector<float>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(found[i]), expected[i], 2e-5 * (1 + std::abs(expected[i])))
        << i;
  }
}

void check_against_reference(const LayerOptions& options, const Found& found) {
  const std::int64_t dim = options.embedding_size;
  ReferenceTable table(
      [&](Key key) {
        std::vector<double> row;
        for (std::int64_t d = 0; d < dim; ++d) {
          row.push_back(number_of(key, d));
        }
        return row;
      },
      {.clip_value = 0, .clip_norm = 0, .l2 = 0, .update = [](double& w, double&, double g) {
         w -= g;
       }});
  std::vector<double> outputs;
  for (std::size_t b = 0; b < kBags.size(); ++b) {
    ReferenceSample sample{{{}}};
    std::vector<double> upstream;
    for (const Key key : kBags[b]) {
      sample.bags[0].push_back({key});
    }
    for (std::int64_t d = 0; d < dim; ++d) {
      upstream.push_back(upstream_of(static_cast<std::int64_t>(b), d));
    }
    const std::vector<double> value = table.value(options.combiner.name, sample);
    outputs.insert(outputs.end(), value.begin(), value.end());
    table.backward(options.combiner.name, sample, upstream);
  }
  table.apply();
  std::vector<float> joined;
  for (const auto& [rank, values] : found.outputs) {
    joined.insert(joined.end(), values.begin(), values.end());
  }
  expect_near(joined, outputs);
  ASSERT_EQ(found.rows.size(), kKeys - 1);
  for (const auto& [key, row] : table.rows()) {
    expect_near(found.rows.at(key), row.values);
  }
}

class WideRows : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(WideRows, ArePooledAndStepByEveryCombiner) {
  for (const char* combiner : {"sum", "mean", "min", "max", "prod", "variance", "std", "logsumexp",
                               "euclidean_norm", "sqrtn"}) {
    LayerOptions options;
    options.name = "wide";
    options.embedding_size = GetParam();
    options.combiner = combiner;
    options.optimizer = Sgd{1};
    for (const ExchangeMode exchange : {ExchangeMode::rows, ExchangeMode::reduced}) {
      options.exchange = exchange;
      options.pool_order = exchange == ExchangeMode::rows ? PoolOrder::bag : PoolOrder::shard;
      for (const int ranks : {1, 3}) {
        SCOPED_TRACE(fmt::format("{} on {} ranks, {}", combiner, ranks, option_name(exchange)));
        check_against_reference(options, step_of(options, ranks));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Dims, WideRows, ::testing::Values(1, 3, 64, 1000, 4096));

}  // namespace
}  // namespace keyshard::testing
