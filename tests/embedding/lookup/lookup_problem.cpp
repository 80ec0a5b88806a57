#include "tests/embedding/lookup/lookup_problem.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <memory>
#include <random>
#include <set>

#include "embedding/rows/table.hpp"

namespace keyshard::testing {
namespace {

GroupOptions group(const std::string& name, std::int64_t dim) {
  GroupOptions options;
  options.name = name;
  options.dim = dim;
  options.initializer = Uniform{-1, 1};
  options.optimizer = Sgd{1.0f};
  return options;
}

Vector initial_row(const Table<Cpu>& table, Key key) {
  Stream<Cpu> stream;
  Vector row(static_cast<std::size_t>(table.layout().dim));
  const RowId none = kNoRow;
  table.read(stream, Span<const Key>(&key, 1), &none, false, row.data());
  return row;
}

/// The terms of each key and slice, added in their order.
using SliceSums = std::map<Key, std::map<std::int64_t, Vector>>;

ReferencePooling pooling_of(const Problem& p, std::size_t f, std::size_t g,
                            const Table<Cpu>& table) {
  const RowLayout::Group& layout = table.layout().groups[g];
  return {name_of(p.features[f].combiners[g]), table.options().pool_order == PoolOrder::shard,
          [&table](Key key) { return shard_of(table.partitioner(), key); },
          [&table, &layout](Key key) {
            const Vector row = initial_row(table, key);
            return Vector(row.begin() + layout.value_offset,
                          row.begin() + layout.value_offset + layout.dim);
          }};
}

/// What a bag comes to: its value, and the gradient of the row of each id.
struct PooledBag {
  Vector value;
  std::vector<Vector> gradients;
};

/// Pools with the states of combiner C: a state per shard, or one in all, and the states of shards
/// merged by the recursive definition of a fold.
template <class C>
PooledBag pool_by_states(const ReferencePooling& pooling, const std::vector<Key>& bag,
                         const Vector& upstream) {
  using States = std::vector<typename C::State>;
  std::map<std::int64_t, States> shards;
  for (const Key key : bag) {
    const Vector row = pooling.row(key);
    const auto [found, first] =
        shards.emplace(pooling.by_shard ? pooling.shard(key) : 0, States(row.size()));
    for (std::size_t d = 0; d < row.size(); ++d) {
      found->second[d] = first ? C::start(row[d]) : C::add(found->second[d], row[d]);
    }
  }
  const States states = *tree_fold(shards, 0, 1024, [](const States& a, const States& b) {
    States merged;
    for (std::size_t d = 0; d < a.size(); ++d) {
      merged.push_back(C::merge(a[d], b[d]));
    }
    return merged;
  });
  const auto n = static_cast<std::int64_t>(bag.size());
  PooledBag pooled{Vector(upstream.size()), std::vector<Vector>(bag.size())};
  for (std::size_t d = 0; d < upstream.size(); ++d) {
    pooled.value[d] = C::value(states[d], n);
    const typename C::Back back = C::back(upstream[d], states[d], n);
    for (std::size_t i = 0; i < bag.size(); ++i) {
      pooled.gradients[i].push_back(C::gradient(back, pooling.row(bag[i])[d]));
    }
  }
  return pooled;
}

/// What TensorFlow reduces an empty list to.
float empty_list(const std::string& combiner) {
  using Limits = std::numeric_limits<float>;
  const std::map<std::string, float> numbers{{"sum", 0.0f},
                                             {"sqrtn", 0.0f},
                                             {"euclidean_norm", 0.0f},
                                             {"prod", 1.0f},
                                             {"min", Limits::max()},
                                             {"max", Limits::lowest()},
                                             {"logsumexp", -Limits::infinity()}};
  const auto found = numbers.find(combiner);
  return found == numbers.end() ? Limits::quiet_NaN() : found->second;
}

PooledBag pool_bag(const ReferencePooling& pooling, const std::vector<Key>& bag,
                   const Vector& upstream, EmptyBag empty) {
  PooledBag pooled{Vector(upstream.size(), 0.0f), {}};
  if (bag.empty() && empty == EmptyBag::tf) {
    std::fill(pooled.value.begin(), pooled.value.end(), empty_list(pooling.combiner));
    return pooled;
  }
  const std::set<std::string> defined{"sum", "mean", "sqrtn", "min", "max"};
  if (defined.count(pooling.combiner) == 1) {
    return {pooling.value(bag, upstream.size()), pooling.gradients(bag, upstream)};
  }
  if (!bag.empty()) {
    with_alternative<Combiner>(combiner_of(pooling.combiner).index(), [&](auto c) {
      pooled = pool_by_states<decltype(c)>(pooling, bag, upstream);
    });
  }
  return pooled;
}

/// Pools bag f of a sample into `out`; returns the gradients of its ids. `columns` [group] is where
/// the bag's columns start in the upstream gradient; advances `columns` to those of the next bag.
std::vector<Vector> pool_and_unpool(const Problem& p, const Table<Cpu>& table, std::size_t sample,
                                    std::size_t f, std::vector<std::size_t>& columns,
                                    Outcome& out) {
  const std::vector<Key>& bag = p.bags[sample * p.features.size() + f];
  std::vector<Vector> terms(bag.size());
  for (std::size_t g = 0; g < 2; ++g) {
    const auto dim = static_cast<std::size_t>(table.layout().groups[g].dim);
    const auto begin = p.upstream[g][sample].begin() + static_cast<std::ptrdiff_t>(columns[g]);
    const PooledBag pooled =
        pool_bag(pooling_of(p, f, g, table), bag,
                 Vector(begin, begin + static_cast<std::ptrdiff_t>(dim)), p.features[f].empty_bag);
    out.pooled[g][sample].insert(out.pooled[g][sample].end(), pooled.value.begin(),
                                 pooled.value.end());
    columns[g] += dim;
    for (std::size_t j = 0; j < bag.size(); ++j) {
      terms[j].insert(terms[j].end(), pooled.gradients[j].begin(), pooled.gradients[j].end());
    }
  }
  return terms;
}

/// Adds one sample to the outcome and to the sums of each table.
void add_sample(const Problem& p, const std::vector<std::unique_ptr<Table<Cpu>>>& tables,
                std::size_t sample, std::int64_t slice, Outcome& out,
                std::vector<SliceSums>& sums) {
  std::vector<std::size_t> columns(2, 0);
  for (std::size_t f = 0; f < p.features.size(); ++f) {
    const auto t = static_cast<std::size_t>(p.features[f].table);
    const std::vector<Key>& bag = p.bags[sample * p.features.size() + f];
    const std::vector<Vector> terms = pool_and_unpool(p, *tables[t], sample, f, columns, out);
    for (std::size_t j = 0; p.features[f].trainable && j < bag.size(); ++j) {
      const auto [sum, first] = sums[t][bag[j]].emplace(slice, terms[j]);
      if (!first) {
        sum->second = add_vectors(sum->second, terms[j]);
      }
    }
  }
}

std::vector<TableOptions> three_tables(ExchangeMode mode, PoolOrder order, std::int64_t dim) {
  std::vector<TableOptions> tables;
  for (const char* name : {"shared", "alone", "narrow"}) {
    TableOptions table;
    table.name = name;
    table.seed = 11 + tables.size();
    table.exchange = mode;
    table.pool_order = order;
    table.groups = {group("factor", tables.size() == 2 ? 3 : dim), group("linear", 1)};
    tables.push_back(table);
  }
  return tables;
}

/// One id, or up to eight. Key 7 is in all slices.
std::vector<Key> draw_bag(std::mt19937_64& random, bool single) {
  std::vector<Key> bag(single ? 1 : random() % 9);
  for (Key& key : bag) {
    key = random() % 4 == 0 ? 7 : random() % 30 == 0 ? ~Key{0} : random() % 40;
  }
  return bag;
}

Vector draw_gradient(std::mt19937_64& random, std::int64_t width) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  Vector row(static_cast<std::size_t>(width));
  for (float& x : row) {
    x = random() % 10 == 0 ? -0.0f : uniform(random);
  }
  return row;
}

}  // namespace

bool Outcome::operator==(const Outcome& other) const {
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

Problem make_problem(unsigned seed, ExchangeMode mode, PoolOrder order, std::int64_t dim) {
  std::mt19937_64 random(seed);
  Problem p;
  std::int64_t samples = 0;
  for (std::int64_t slice = 0; slice < p.slices; ++slice) {
    p.slice_samples.push_back(slice == 5 ? 0 : 3 + static_cast<std::int64_t>(random() % 3));
    samples += p.slice_samples.back();
  }
  p.tables = three_tables(mode, order, dim);
  p.features = {{"a", 0, {Mean{}, Sum{}}},     {"b", 1, {Sum{}, Sum{}}},
                {"c", 0, {Max{}, SqrtN{}}},    {"d", 2, {Min{}, Mean{}}},
                {"e", 0, {Variance{}, Std{}}}, {"f", 1, {LogSumExp{}, EuclideanNorm{}}},
                {"g", 2, {Std{}, Prod{}}}};
  p.upstream.resize(2);
  for (std::int64_t b = 0; b < samples; ++b) {
    for (std::size_t f = 0; f < p.features.size(); ++f) {
      p.bags.push_back(draw_bag(random, f == 1));
    }
    p.upstream[0].push_back(draw_gradient(random, 5 * dim + 6));
    p.upstream[1].push_back(draw_gradient(random, 7));
  }
  return p;
}

Problem make_border_problem(ExchangeMode mode, PoolOrder order) {
  Problem p = make_problem(6, mode, order);
  for (TableOptions& table : p.tables) {
    table.partitioner = "modulo";  // key k is of shard k modulo 1024
  }
  std::set<std::int64_t> shards;
  for (std::int64_t ranks = 1; ranks <= 11; ++ranks) {
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      const Range run = run_of(rank, ranks, kShards);
      shards.insert({run.begin, run.end - 1});
    }
  }
  const std::vector<std::int64_t> borders(shards.begin(), shards.end());
  std::size_t next = 0, bag = 0;
  for (std::int64_t slice = 0; slice < p.slices; ++slice) {
    const std::size_t bags =
        static_cast<std::size_t>(p.slice_samples[static_cast<std::size_t>(slice)]) *
        p.features.size();
    for (std::size_t end = bag + bags; bag < end; ++bag) {
      const auto here = static_cast<Key>(borders[next++ % borders.size()]);
      const auto of_slice = static_cast<Key>(kShards * (10 + slice)),
                 of_two = static_cast<Key>(kShards * (20 + (slice + 1) / 2));
      const bool single = bag % p.features.size() == 1;
      p.bags[bag] = single ? std::vector<Key>{here + of_two}
                           : std::vector<Key>{here + of_slice, 0, here, kShards - 1, here + of_two,
                                              here + of_slice};
    }
  }
  return p;
}

Problem make_zero_problem(ExchangeMode mode) {
  Problem p = make_problem(2, mode, PoolOrder::shard);
  for (TableOptions& table : p.tables) {
    for (GroupOptions& group : table.groups) {
      group.initializer = Constant{-0.0f};
    }
  }
  for (std::vector<Vector>& samples : p.upstream) {
    for (Vector& gradients : samples) {
      std::fill(gradients.begin(), gradients.end(), -0.0f);
    }
  }
  for (std::size_t f = 4; f < p.features.size(); ++f) {
    p.features[f].combiners = {Sum{}, SqrtN{}};
  }
  return p;
}

Outcome reference(const Problem& p) {
  Outcome out;
  out.pooled.assign(2, std::vector<Vector>(static_cast<std::size_t>(p.samples())));
  out.rows.resize(p.tables.size());
  std::vector<std::unique_ptr<Table<Cpu>>> tables;
  for (const TableOptions& options : p.tables) {
    tables.push_back(std::make_unique<Table<Cpu>>(options, Range{0, kShards}));
  }
  std::vector<SliceSums> sums(p.tables.size());
  std::size_t sample = 0;
  for (std::int64_t slice = 0; slice < p.slices; ++slice) {
    for (std::int64_t i = 0; i < p.slice_samples[static_cast<std::size_t>(slice)]; ++i) {
      add_sample(p, tables, sample++, slice, out, sums);
    }
  }
  for (std::size_t t = 0; t < sums.size(); ++t) {
    for (const auto& [key, slices] : sums[t]) {
      const Vector gradient = *tree_fold(slices, 0, p.slices, add_vectors);
      Vector row = initial_row(*tables[t], key);
      for (std::size_t d = 0; d < row.size(); ++d) {
        row[d] = row[d] - 1.0f * gradient[d];
      }
      out.rows[t].emplace(key, row);
    }
  }
  return out;
}

}  // namespace keyshard::testing
