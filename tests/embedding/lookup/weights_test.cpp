// Ids with weights: against the formula, and the same bits on any number of ranks, in both orders
// of pooling and in every exchange mode.
#include <cmath>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

#include "embedding/lookup/lookup.hpp"
#include "embedding/rows/table_set.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kSamples = 24, kDim = 3;
const char* const kCombiners[] = {"sum", "mean", "sqrtn"};

/// A sample is a slice and has a bag per combiner, then one without weights.
constexpr std::int64_t kFeatures = 4;

struct Id {
  Key key;
  float weight;
};

/// Bag (sample, feature): ids that repeat; weights of both signs, and one bag whose weights are 0.
std::vector<Id> bag_of(std::int64_t sample, std::int64_t feature) {
  const std::uint64_t seed = mix64(static_cast<std::uint64_t>(sample * kFeatures + feature));
  std::vector<Id> bag(seed % 6);
  for (std::size_t i = 0; i < bag.size(); ++i) {
    const std::uint64_t draw = mix64(seed + i);
    bag[i] = {draw % 17, sample == 5 ? 0.0f : static_cast<float>(draw % 64) / 16.0f - 1.0f};
  }
  return bag;
}

float upstream_of(std::int64_t sample, std::int64_t column) {
  return static_cast<float>(mix64(static_cast<std::uint64_t>(sample * 100 + column)) % 32) / 8.0f -
         2.0f;
}

TableOptions table_options(PoolOrder order, ExchangeMode exchange = ExchangeMode::rows) {
  TableOptions options;
  options.name = "items";
  options.groups = {{"values", kDim, Uniform{-1, 1}, {}, Sgd{1}, {}}};
  options.pool_order = order;
  options.exchange = exchange;
  return options;
}

std::vector<FeatureOptions> feature_options() {
  std::vector<FeatureOptions> features;
  for (const char* combiner : kCombiners) {
    features.push_back({combiner, 0, {combiner_of(combiner)}, true});
  }
  features.push_back({"plain", 0, {Max{}}, false});
  return features;
}

/// The samples of one rank.
struct Part {
  static constexpr std::int64_t kWidth = kFeatures * kDim;

  Range run;
  std::vector<Key> ids;
  std::vector<float> weights;
  std::vector<float> upstream;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int64_t> slice_offsets{0};

  Part(int rank, int ranks) : run(run_of(rank, ranks, kSamples)) {
    for (std::int64_t sample = run.begin; sample < run.end; ++sample) {
      for (std::int64_t f = 0; f < kFeatures; ++f) {
        for (const Id& id : bag_of(sample, f)) {
          ids.push_back(id.key);
          weights.push_back(id.weight);
        }
        offsets.push_back(static_cast<std::int64_t>(ids.size()));
      }
      for (std::int64_t c = 0; c < kWidth; ++c) {
        upstream.push_back(upstream_of(sample, c));
      }
      slice_offsets.push_back(slice_offsets.back() + 1);
    }
  }

  LookupInput input() const {
    return {.bags = {ids, offsets},
            .samples = run.size(),
            .slices = kSamples,
            .run = run,
            .slice_offsets = slice_offsets,
            .weights = weights};
  }
};

struct Outcome {
  std::map<std::int64_t, std::vector<float>> pooled;  // by sample
  std::map<Key, std::vector<float>> rows;             // after a step of SGD with rate 1

  bool operator==(const Outcome&) const = default;

  void add(const Part& part, const std::vector<float>& out, const Table<Cpu>& table) {
    for (std::int64_t s = 0; s < part.run.size(); ++s) {
      const auto first = out.begin() + s * Part::kWidth;
      pooled[part.run.begin + s].assign(first, first + Part::kWidth);
    }
    for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
      const ShardRows found = table.shard_rows(shard);
      for (std::size_t i = 0; i < found.keys.size(); ++i) {
        std::vector<float>& row = rows[found.keys[i]];
        row.resize(kDim);
        table.copy_column(Span<const RowId>(&found.rows[i], 1), table.columns().front(),
                          row.data());
      }
    }
  }
};

Outcome run(int ranks, PoolOrder order, ExchangeMode exchange = ExchangeMode::rows) {
  Outcome outcome;
  std::mutex mutex;
  testing::run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(table_options(order, exchange));
    Lookup<Cpu> lookup(communicator, {&table}, feature_options());
    const Part part(communicator.rank(), ranks);
    const std::int64_t samples = part.run.size(), width = Part::kWidth;
    std::vector<float> out(part.upstream.size());
    const MatrixView<float> pooled{out.data(), samples, width, width};
    const auto trace =
        lookup.forward(stream, part.input(), true, {}, Span<const MatrixView<float>>(&pooled, 1));
    const MatrixView<const float> gradient{part.upstream.data(), samples, width, width};
    lookup.backward(stream, trace, Span<const MatrixView<const float>>(&gradient, 1));
    tables.apply(stream, {});
    const std::lock_guard lock(mutex);
    outcome.add(part, out, table);
  });
  return outcome;
}

using Numbers = std::vector<double>;

/// The initial values of a key.
Numbers initial(Key key) {
  Stream<Cpu> stream(1);
  const Table<Cpu> table(table_options(PoolOrder::bag), {0, kShards});
  std::vector<float> out(kDim);
  const RowId none = kNoRow;
  table.read(stream, Span<const Key>(&key, 1), &none, false, out.data());
  return {out.begin(), out.end()};
}

/// The divisor of a bag by the formula.
double divisor_of(std::int64_t feature, const std::vector<Id>& bag) {
  double sum = 0, squares = 0;
  for (const Id& id : bag) {
    sum += id.weight;
    squares += static_cast<double>(id.weight) * id.weight;
  }
  return feature == 0 ? 1 : feature == 1 ? sum : std::sqrt(squares);
}

/// By the formula: what each bag pools to, and what each row loses.
struct Formula {
  std::map<Key, Numbers> rows, lost;

  Formula() {
    for (Key key = 0; key < 17; ++key) {
      rows[key] = initial(key);
      lost[key].resize(kDim);
    }
  }

  double weighted(std::int64_t sample, std::int64_t f, std::size_t d) {
    const std::vector<Id> bag = bag_of(sample, f);
    const double divisor = divisor_of(f, bag);
    const double g = upstream_of(sample, f * kDim + static_cast<std::int64_t>(d));
    double sum = 0;
    for (const Id& id : bag) {
      sum += id.weight * rows[id.key][d];
      lost[id.key][d] += divisor == 0 ? 0 : id.weight * g / divisor;
    }
    return divisor == 0 ? 0 : sum / divisor;
  }

  /// Without weights; the gradient goes to the ids that have the maximum.
  double maximum(std::int64_t sample, std::int64_t f, std::size_t d) {
    const std::vector<Id> bag = bag_of(sample, f);
    double most = -2, ties = 0;
    for (const Id& id : bag) {
      most = std::max(most, rows[id.key][d]);
    }
    for (const Id& id : bag) {
      ties += rows[id.key][d] == most ? 1 : 0;
    }
    const double g = upstream_of(sample, f * kDim + static_cast<std::int64_t>(d));
    for (const Id& id : bag) {
      lost[id.key][d] += rows[id.key][d] == most ? g / ties : 0;
    }
    return bag.empty() ? 0 : most;
  }
};

TEST(Weights, PoolAndGiveGradientsByTheFormula) {
  const Outcome found = run(1, PoolOrder::bag);
  Formula formula;
  for (std::int64_t sample = 0; sample < kSamples; ++sample) {
    for (std::int64_t f = 0; f < kFeatures; ++f) {
      for (std::size_t d = 0; d < kDim; ++d) {
        const double expected =
            f < 3 ? formula.weighted(sample, f, d) : formula.maximum(sample, f, d);
        EXPECT_NEAR(found.pooled.at(sample)[static_cast<std::size_t>(f * kDim) + d], expected,
                    1e-5 * (1 + std::abs(expected)))
            << "sample " << sample << " feature " << f;
      }
    }
  }
  for (const auto& [key, row] : found.rows) {
    for (std::size_t d = 0; d < row.size(); ++d) {
      const double lost = formula.lost[key][d];
      EXPECT_NEAR(row[d], formula.rows[key][d] - lost, 1e-4 * (1 + std::abs(lost)))
          << "key " << key << " column " << d;
    }
  }
}

TEST(Weights, HaveTheSameBitsOnAnyNumberOfRanks) {
  for (const PoolOrder order : {PoolOrder::bag, PoolOrder::shard}) {
    const Outcome one = run(1, order);
    for (const int ranks : {2, 3, 4, 8}) {
      EXPECT_EQ(run(ranks, order), one) << ranks << " ranks";
    }
  }
}

TEST(Weights, HaveTheSameBitsInEveryExchangeMode) {
  const Outcome one = run(1, PoolOrder::shard);
  for (const int ranks : testing::rank_counts({1, 2, 3, 4, 5, 8})) {
    for (const auto exchange : {ExchangeMode::reduced, ExchangeMode::automatic}) {
      EXPECT_EQ(run(ranks, PoolOrder::shard, exchange), one) << ranks << " ranks";
    }
  }
}

/// What each of two ranks sends in a lookup of two bags of `n` ids, all distinct.
std::vector<LookupTraffic> traffic_of(ExchangeMode exchange, bool weighted, Key n) {
  std::vector<LookupTraffic> traffic(2);
  testing::run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Table<Cpu>& table = tables.create(table_options(PoolOrder::shard, exchange));
    Lookup<Cpu> lookup(communicator, {&table}, {{"items", 0, {Mean{}}, weighted}});
    std::vector<Key> ids;
    for (Key key = 0; key < 2 * n; ++key) {
      ids.push_back(key);
    }
    const auto size = static_cast<std::int64_t>(n);
    const std::int64_t offsets[] = {0, size, 2 * size}, slices[] = {0, 2};
    std::vector<float> out(2 * kDim), weights(weighted ? ids.size() : 0, 0.5f);
    const MatrixView<float> pooled{out.data(), 2, kDim, kDim};
    const std::int64_t rank = communicator.rank();
    traffic[static_cast<std::size_t>(rank)] =
        lookup
            .forward(stream,
                     {.bags = {ids, offsets},
                      .samples = 2,
                      .slices = 2,
                      .run = {rank, rank + 1},
                      .slice_offsets = slices,
                      .weights = weights},
                     true, {}, Span<const MatrixView<float>>(&pooled, 1))
            .traffic();
  });
  return traffic;
}

TEST(Weights, TravelWithTheItemsOfPartsAndCountAsTheirBytes) {
  // With one id a bag, rows are the fewer bytes; with 40, and 4 bytes of weight for each id of
  // another rank, parts: 12 bytes of a row and 12 of its gradient against 4 and 4.
  for (const auto& [n, reduced] : {std::pair(Key{1}, 0), {Key{40}, 1}}) {
    const auto rows = traffic_of(ExchangeMode::rows, true, n);
    const auto parts = traffic_of(ExchangeMode::reduced, true, n);
    const auto plain = traffic_of(ExchangeMode::reduced, false, n);
    const auto chosen = traffic_of(ExchangeMode::automatic, true, n);
    for (std::size_t rank = 0; rank < 2; ++rank) {
      std::int64_t of_other = 0;  // keys, each in one bag
      for (Key key = 0; key < 2 * n; ++key) {
        of_other += shard_of(partitioner_of("hash", "items"), key) / (kShards / 2) == rank ? 0 : 1;
      }
      EXPECT_EQ(parts[rank].bytes, plain[rank].bytes + 4 * of_other);
      EXPECT_EQ(rows[rank].bytes, traffic_of(ExchangeMode::rows, false, n)[rank].bytes);
      EXPECT_EQ(chosen[rank].reduced_tables, reduced);
      EXPECT_EQ(chosen[rank].bytes, (reduced == 1 ? parts : rows)[rank].bytes);
    }
  }
}

TEST(Weights, AreRefusedWhereTheyDoNotFit) {
  testing::run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableOptions options;
    options.name = "items";
    options.groups = {{"values", kDim, Constant{1}, {}, Sgd{1}, {}}};
    Table<Cpu> table(options, {0, kShards});
    EXPECT_THROW(Lookup<Cpu>(communicator, {&table}, {{"best", 0, {Max{}}, true}}), Error);
    Lookup<Cpu> lookup(communicator, {&table}, {{"items", 0, {Mean{}}, true}});
    const std::vector<Key> ids{1, 2};
    const std::int64_t offsets[] = {0, 2}, slices[] = {0, 1};
    std::vector<float> out(kDim);
    const MatrixView<float> pooled{out.data(), 1, kDim, kDim};
    const std::vector<float> one_weight{1};
    EXPECT_THROW(lookup.forward(stream,
                                {.bags = {ids, offsets},
                                 .samples = 1,
                                 .slices = 1,
                                 .run = {0, 1},
                                 .slice_offsets = slices,
                                 .weights = one_weight},
                                true, {}, Span<const MatrixView<float>>(&pooled, 1)),
                 Error);
  });
}

}  // namespace
}  // namespace keyshard
