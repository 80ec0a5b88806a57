// The lookup against its definition (tests/support/reference_lookup), bit for bit: on 1 to 8 ranks,
// 1 and 2 threads, in every exchange mode, with shared tables, ragged bags, keys in one and in all
// slices, and empty ranks.
#include "embedding/lookup.hpp"

#include <bit>
#include <map>
#include <mutex>
#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/reference_lookup.hpp"

namespace keyshard {
namespace {

using testing::ReferencePooling;
using testing::Vector;

/// A global batch: bag f of sample b, and the upstream gradient of each group.
struct Problem {
  std::int64_t slices = 8;
  std::vector<std::int64_t> slice_samples;  // samples of each slice
  std::vector<TableOptions> tables;
  std::vector<FeatureOptions> features;
  std::vector<std::vector<Key>> bags;
  std::vector<std::vector<Vector>> upstream;  // [group][sample] -> columns

  std::int64_t samples() const {
    return static_cast<std::int64_t>(bags.size()) / static_cast<std::int64_t>(features.size());
  }
};

GroupOptions group(const std::string& name, std::int64_t dim) {
  GroupOptions options;
  options.name = name;
  options.dim = dim;
  options.initializer = Uniform{-1, 1};
  options.optimizer = Sgd{1.0f};
  return options;
}

Problem make_problem(unsigned seed, ExchangeMode mode, PoolOrder order) {
  std::mt19937_64 random(seed);
  Problem p;
  for (std::int64_t slice = 0; slice < p.slices; ++slice) {
    p.slice_samples.push_back(slice == 5 ? 0 : 3 + static_cast<std::int64_t>(random() % 3));
  }
  for (const char* name : {"shared", "alone", "narrow"}) {
    TableOptions table;
    table.name = name;
    table.seed = 11 + p.tables.size();
    table.exchange = mode;
    table.pool_order = order;
    table.groups = {group("factor", p.tables.size() == 2 ? 3 : 5), group("linear", 1)};
    p.tables.push_back(table);
  }
  p.features = {{"a", 0, {Mean{}, Sum{}}},
                {"b", 1, {Sum{}, Sum{}}},
                {"c", 0, {Max{}, SqrtN{}}},
                {"d", 2, {Min{}, Mean{}}}};
  std::int64_t samples = 0;
  for (const std::int64_t n : p.slice_samples) {
    samples += n;
  }
  std::uniform_real_distribution<float> uniform(-1, 1);
  const std::vector<std::int64_t> widths{5 + 5 + 5 + 3, 4};
  p.upstream.resize(2);
  for (std::int64_t b = 0; b < samples; ++b) {
    for (std::size_t f = 0; f < p.features.size(); ++f) {
      std::vector<Key> bag(f == 1 ? 1 : random() % 9);
      for (Key& key : bag) {
        key = random() % 4 == 0    ? 7
              : random() % 30 == 0 ? ~Key{0}
                                   : random() % 40;  // key 7 is in all slices
      }
      p.bags.push_back(bag);
    }
    for (std::size_t g = 0; g < 2; ++g) {
      Vector row(static_cast<std::size_t>(widths[g]));
      for (float& x : row) {
        x = random() % 10 == 0 ? -0.0f : uniform(random);
      }
      p.upstream[g].push_back(row);
    }
  }
  return p;
}

/// What comes out: pooled rows per group and sample, and the rows after one step of SGD with
/// rate 1.
struct Outcome {
  std::vector<std::vector<Vector>> pooled;
  std::vector<std::map<Key, Vector>> rows;  // per table

  bool operator==(const Outcome& other) const {
    const auto bits = [](const Outcome& o) {
      std::vector<std::uint32_t> all;
      const auto put = [&](const Vector& v) {
        for (const float x : v) {
          all.push_back(std::bit_cast<std::uint32_t>(x));
        }
      };
      for (const auto& group_rows : o.pooled) {
        for (const Vector& v : group_rows) {
          put(v);
        }
      }
      for (const auto& table : o.rows) {
        for (const auto& [key, v] : table) {
          all.push_back(static_cast<std::uint32_t>(key));
          put(v);
        }
      }
      return all;
    };
    return bits(*this) == bits(other);
  }
};

Vector initial_row(const Table<Cpu>& table, Key key) {
  Stream<Cpu> stream;
  Vector row(static_cast<std::size_t>(table.layout().dim));
  const RowId none = kNoRow;
  table.read(stream, Span<const Key>(&key, 1), &none, false, row.data());
  return row;
}

/// From the definition: pool each bag; add gradients per slice in (sample, feature, position) and
/// fold over slices.
Outcome reference(const Problem& p) {
  Outcome out;
  out.pooled.assign(2, std::vector<Vector>(static_cast<std::size_t>(p.samples())));
  out.rows.resize(p.tables.size());
  std::vector<std::unique_ptr<Table<Cpu>>> tables;
  for (const TableOptions& options : p.tables) {
    tables.push_back(std::make_unique<Table<Cpu>>(options, Range{0, kShards}));
  }
  std::vector<std::map<Key, std::map<std::int64_t, Vector>>> sums(p.tables.size());
  std::int64_t sample = 0;
  for (std::int64_t slice = 0; slice < p.slices; ++slice) {
    for (std::int64_t end = sample + p.slice_samples[static_cast<std::size_t>(slice)]; sample < end;
         ++sample) {
      std::vector<std::size_t> columns(2, 0);
      for (std::size_t f = 0; f < p.features.size(); ++f) {
        const auto t = static_cast<std::size_t>(p.features[f].table);
        const Table<Cpu>& table = *tables[t];
        const std::vector<Key>& bag =
            p.bags[static_cast<std::size_t>(sample) * p.features.size() + f];
        std::vector<Vector> terms(bag.size());
        for (std::size_t g = 0; g < 2; ++g) {
          const RowLayout::Group& layout = table.layout().groups[g];
          ReferencePooling pooling{name_of(p.features[f].combiners[g]),
                                   p.tables[t].pool_order == PoolOrder::shard,
                                   [&](Key key) { return shard_of(table.partitioner(), key); },
                                   [&](Key key) {
                                     const Vector row = initial_row(table, key);
                                     return Vector(row.begin() + layout.value_offset,
                                                   row.begin() + layout.value_offset + layout.dim);
                                   }};
          const auto dim = static_cast<std::size_t>(layout.dim);
          Vector& pooled = out.pooled[g][static_cast<std::size_t>(sample)];
          const Vector value = pooling.value(bag, dim);
          pooled.insert(pooled.end(), value.begin(), value.end());
          const Vector& all = p.upstream[g][static_cast<std::size_t>(sample)];
          const Vector upstream(all.begin() + static_cast<std::ptrdiff_t>(columns[g]),
                                all.begin() + static_cast<std::ptrdiff_t>(columns[g] + dim));
          columns[g] += dim;
          const std::vector<Vector> gradients = pooling.gradients(bag, upstream);
          for (std::size_t j = 0; j < bag.size(); ++j) {
            terms[j].insert(terms[j].end(), gradients[j].begin(), gradients[j].end());
          }
        }
        for (std::size_t j = 0; j < bag.size(); ++j) {
          auto& slices = sums[t][bag[j]];
          const auto found = slices.find(slice);
          if (found == slices.end()) {
            slices.emplace(slice, terms[j]);
          } else {
            found->second = testing::add_vectors(found->second, terms[j]);
          }
        }
      }
    }
  }
  for (std::size_t t = 0; t < sums.size(); ++t) {
    for (const auto& [key, slices] : sums[t]) {
      const Vector gradient = *testing::tree_fold(slices, 0, p.slices, testing::add_vectors);
      Vector row = initial_row(*tables[t], key);
      for (std::size_t d = 0; d < row.size(); ++d) {
        row[d] = row[d] - 1.0f * gradient[d];
      }
      out.rows[t].emplace(key, row);
    }
  }
  return out;
}

/// The part of the problem that belongs to one rank, looked up and stepped; results are put into
/// `out` under a lock.
void run_rank(const Problem& p, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
              std::mutex& mutex, Outcome& out) {
  const Range run = run_of(communicator.rank(), communicator.size(), p.slices);
  std::int64_t first = 0;
  std::vector<std::int64_t> slice_offsets{0};
  for (std::int64_t slice = 0; slice < run.end; ++slice) {
    const std::int64_t n = p.slice_samples[static_cast<std::size_t>(slice)];
    if (slice < run.begin) {
      first += n;
    } else {
      slice_offsets.push_back(slice_offsets.back() + n);
    }
  }
  const std::int64_t samples = slice_offsets.back();
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0};
  const auto features = static_cast<std::int64_t>(p.features.size());
  for (std::int64_t bag = first * features; bag < (first + samples) * features; ++bag) {
    const std::vector<Key>& keys = p.bags[static_cast<std::size_t>(bag)];
    ids.insert(ids.end(), keys.begin(), keys.end());
    offsets.push_back(static_cast<std::int64_t>(ids.size()));
  }

  std::vector<std::unique_ptr<Table<Cpu>>> tables;
  std::vector<Table<Cpu>*> borrowed;
  for (const TableOptions& options : p.tables) {
    tables.push_back(std::make_unique<Table<Cpu>>(
        options, run_of(communicator.rank(), communicator.size(), kShards)));
    borrowed.push_back(tables.back().get());
  }
  Lookup<Cpu> lookup(communicator, borrowed, p.features);
  std::vector<Buffer<float, Cpu>> pooled, upstream;
  std::vector<MatrixView<float>> outputs;
  std::vector<MatrixView<const float>> gradients;
  for (std::int64_t g = 0; g < 2; ++g) {
    const std::int64_t width = lookup.width(g);
    pooled.emplace_back(stream, samples * width);
    upstream.emplace_back(stream, samples * width);
    for (std::int64_t b = 0; b < samples; ++b) {
      const Vector& row =
          p.upstream[static_cast<std::size_t>(g)][static_cast<std::size_t>(first + b)];
      std::copy(row.begin(), row.end(), upstream.back().data() + b * width);
    }
    outputs.push_back({pooled.back().data(), samples, width, width});
    gradients.push_back({upstream.back().data(), samples, width, width});
  }

  const std::int64_t carry[] = {samples, 1};
  const LookupInput input{{ids, offsets}, samples, p.slices, run, slice_offsets};
  const LookupTrace<Cpu> trace = lookup.forward(stream, input, true, carry, outputs);
  EXPECT_EQ(trace.carried(), (std::vector<std::int64_t>{p.samples(), communicator.size()}));
  lookup.backward(stream, trace, gradients);
  for (Table<Cpu>* table : borrowed) {
    table->apply(stream, UpdateContext{});
  }

  const std::lock_guard lock(mutex);
  for (std::size_t g = 0; g < 2; ++g) {
    for (std::int64_t b = 0; b < samples; ++b) {
      out.pooled[g][static_cast<std::size_t>(first + b)] =
          Vector(outputs[g].row(b), outputs[g].row(b) + outputs[g].cols);
    }
  }
  for (std::size_t t = 0; t < borrowed.size(); ++t) {
    const Range shards = borrowed[t]->shards();
    for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
      const ShardRows rows = borrowed[t]->shard_rows(shard);
      Vector values(rows.rows.size() * static_cast<std::size_t>(borrowed[t]->layout().dim));
      borrowed[t]->copy_column(rows.rows, {"all", 0, borrowed[t]->layout().dim}, values.data());
      for (std::size_t i = 0; i < rows.keys.size(); ++i) {
        const auto at = values.begin() + static_cast<std::ptrdiff_t>(i) * borrowed[t]->layout().dim;
        out.rows[t].emplace(rows.keys[i], Vector(at, at + borrowed[t]->layout().dim));
      }
    }
  }
}

Outcome run(const Problem& p, int ranks, int threads) {
  Outcome out;
  out.pooled.assign(2, std::vector<Vector>(static_cast<std::size_t>(p.samples())));
  out.rows.resize(p.tables.size());
  std::mutex mutex;
  testing::run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    run_rank(p, communicator, stream, mutex, out);
  });
  return out;
}

struct Case {
  int ranks;
  int threads;
  ExchangeMode mode;
  PoolOrder order;
};

class LookupOnRanks : public ::testing::TestWithParam<Case> {};

TEST_P(LookupOnRanks, HasTheBitsOfItsDefinition) {
  const Case c = GetParam();
  for (unsigned seed = 1; seed <= 5; ++seed) {
    const Problem p = make_problem(seed, c.mode, c.order);

    EXPECT_TRUE(run(p, c.ranks, c.threads) == reference(p)) << "seed " << seed;
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int ranks : {1, 2, 3, 4, 5, 8, 11}) {
    for (const int threads : {1, 2}) {
      all.push_back({ranks, threads, ExchangeMode::rows, PoolOrder::bag});
      all.push_back({ranks, threads, ExchangeMode::rows, PoolOrder::shard});
      all.push_back({ranks, threads, ExchangeMode::reduced, PoolOrder::shard});
      all.push_back({ranks, threads, ExchangeMode::automatic, PoolOrder::shard});
    }
  }
  return all;
}

std::string name(const ::testing::TestParamInfo<Case>& info) {
  const char* modes[] = {"Rows", "Reduced", "Auto"};
  return "Ranks" + std::to_string(info.param.ranks) + "Threads" +
         std::to_string(info.param.threads) + modes[static_cast<int>(info.param.mode)] +
         (info.param.order == PoolOrder::shard ? "ByShard" : "ByBag");
}

INSTANTIATE_TEST_SUITE_P(AllModes, LookupOnRanks, ::testing::ValuesIn(cases()), name);

TEST(Lookup, DiffersWhenSlicesAreCutOtherwise) {
  Problem p = make_problem(3, ExchangeMode::rows, PoolOrder::bag);
  const Outcome before = run(p, 1, 1);
  p.slice_samples = {p.samples(), 0, 0, 0, 0, 0, 0, 0};

  EXPECT_FALSE(run(p, 1, 1) == before);
}

TEST(Lookup, RefusesBagsThatDoNotFitTheBatch) {
  const Problem p = make_problem(1, ExchangeMode::rows, PoolOrder::bag);
  const auto look_up = [&](std::vector<std::int64_t> offsets,
                           std::vector<std::int64_t> slice_offsets) {
    testing::run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Table<Cpu> table(p.tables[1], Range{0, kShards});
      Lookup<Cpu> lookup(communicator, {&table}, {{"b", 0, {Sum{}, Sum{}}}});
      std::vector<float> out(100);
      const MatrixView<float> views[] = {{out.data(), 3, 5, 5}, {out.data() + 50, 3, 1, 1}};
      const std::vector<Key> ids{1, 2, 3};
      lookup.forward(stream, LookupInput{{ids, offsets}, 3, 1, {0, 1}, slice_offsets}, true, {},
                     views);
    });
  };

  EXPECT_NO_THROW(look_up({0, 1, 2, 3}, {0, 3}));
  EXPECT_THROW(look_up({0, 1, 3}, {0, 3}), Error);
  EXPECT_THROW(look_up({0, 1, 2, 4}, {0, 3}), Error);
  EXPECT_THROW(look_up({0, 2, 1, 3}, {0, 3}), Error);
  EXPECT_THROW(look_up({0, 1, 2, 3}, {0, 2}), Error);
}

}  // namespace
}  // namespace keyshard
