#include "tests/embedding/lookup/run_problem.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "embedding/lookup/lookup.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// The part of a problem that belongs to one rank.
struct RankPart {
  Range run;
  std::int64_t first = 0;  ///< sample
  std::int64_t samples = 0;
  std::vector<std::int64_t> slice_offsets{0};
  std::vector<Key> ids;
  std::vector<std::int64_t> offsets{0};

  RankPart(const Problem& p, const Communicator<Cpu>& communicator)
      : run(run_of(communicator.rank(), communicator.size(), p.slices)) {
    for (std::int64_t slice = 0; slice < run.end; ++slice) {
      const std::int64_t n = p.slice_samples[static_cast<std::size_t>(slice)];
      if (slice < run.begin) {
        first += n;
      } else {
        slice_offsets.push_back(slice_offsets.back() + n);
      }
    }
    samples = slice_offsets.back();
    const auto features = static_cast<std::int64_t>(p.features.size());
    for (std::int64_t bag = first * features; bag < (first + samples) * features; ++bag) {
      const std::vector<Key>& keys = p.bags[static_cast<std::size_t>(bag)];
      ids.insert(ids.end(), keys.begin(), keys.end());
      offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
  }
};

/// The rows of a table on this rank, by key.
void collect_rows(const Table<Cpu>& table, std::map<Key, Vector>& out) {
  const std::int64_t dim = table.layout().dim;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardRows rows = table.shard_rows(shard);
    Vector values(rows.rows.size() * static_cast<std::size_t>(dim));
    table.copy_column(rows.rows, {"all", 0, dim}, values.data());
    for (std::size_t i = 0; i < rows.keys.size(); ++i) {
      const auto at = values.begin() + static_cast<std::ptrdiff_t>(i) * dim;
      out.emplace(rows.keys[i], Vector(at, at + dim));
    }
  }
}

/// The outputs of a lookup, and the upstream gradients of its samples.
struct Matrices {
  std::vector<Buffer<float, Cpu>> memory;
  std::vector<MatrixView<float>> outputs;
  std::vector<MatrixView<const float>> gradients;

  Matrices(const Problem& p, const RankPart& part, const Lookup<Cpu>& lookup, Stream<Cpu>& stream) {
    for (std::int64_t g = 0; g < 2; ++g) {
      const std::int64_t width = lookup.width(g);
      memory.emplace_back(stream, part.samples * width);
      outputs.push_back({memory.back().data(), part.samples, width, width});
      memory.emplace_back(stream, part.samples * width);
      gradients.push_back({memory.back().data(), part.samples, width, width});
      for (std::int64_t b = 0; b < part.samples; ++b) {
        const Vector& row =
            p.upstream[static_cast<std::size_t>(g)][static_cast<std::size_t>(part.first + b)];
        std::copy(row.begin(), row.end(), memory.back().data() + b * width);
      }
    }
  }
};

/// Makes initial rows for the even keys that features train: the outcome must be as without these
/// rows.
void make_even_rows(const Problem& p, int number, Table<Cpu>& table, Stream<Cpu>& stream) {
  std::vector<Key> keys;
  for (std::size_t bag = 0; bag < p.bags.size(); ++bag) {
    for (const Key key : p.bags[bag]) {
      const FeatureOptions& feature = p.features[bag % p.features.size()];
      if (feature.table == number && feature.trainable && key % 2 == 0 &&
          table.shards().contains(shard_of(table.partitioner(), key))) {
        keys.push_back(key);
      }
    }
  }
  std::vector<RowId> rows(keys.size());
  table.find_or_insert(stream, keys, rows.data());
}

/// Sends the ids on a thread while `change` changes the tables; the ids are gone afterwards.
PreparedLookup<Cpu> prepare_beside(Lookup<Cpu>& lookup, Communicator<Cpu>& communicator,
                                   RankPart& part, const LookupInput& input,
                                   Span<const std::int64_t> carry,
                                   const std::function<void()>& change) {
  const std::unique_ptr<Communicator<Cpu>> ranks = communicator.duplicate();
  PreparedLookup<Cpu> prepared;
  std::thread thread([&] {
    Stream<Cpu> stream;  // which ends before its buffers
    prepared = lookup.prepare(stream, input, carry, ranks.get());
  });
  change();
  thread.join();
  std::fill(part.ids.begin(), part.ids.end(), 0);
  std::fill(part.offsets.begin(), part.offsets.end(), 0);
  return prepared;
}

using Tables = std::vector<std::unique_ptr<Table<Cpu>>>;

/// Looks up and steps what belongs to one rank.
Matrices step_of_rank(const Problem& p, Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                      Ids ids, RankPart& part, Tables& tables) {
  std::vector<Table<Cpu>*> borrowed;
  for (const auto& table : tables) {
    borrowed.push_back(table.get());
  }
  const auto make_rows = [&] {
    for (std::size_t t = 0; t < tables.size(); ++t) {
      make_even_rows(p, static_cast<int>(t), *tables[t], stream);
    }
  };
  Lookup<Cpu> lookup(communicator, borrowed, p.features);
  Matrices matrices(p, part, lookup, stream);
  const std::int64_t carry[] = {part.samples, 1};
  const LookupInput input{
      {part.ids, part.offsets}, part.samples, p.slices, part.run, part.slice_offsets};
  LookupTrace<Cpu> trace;
  if (ids == Ids::ahead) {
    PreparedLookup<Cpu> prepared =
        prepare_beside(lookup, communicator, part, input, carry, make_rows);
    trace = lookup.forward(stream, std::move(prepared), true, matrices.outputs);
  } else {
    make_rows();
    trace = lookup.forward(stream, input, true, carry, matrices.outputs);
  }
  EXPECT_EQ(trace.carried(), (std::vector<std::int64_t>{p.samples(), communicator.size()}));
  lookup.backward(stream, trace, matrices.gradients);
  for (Table<Cpu>* table : borrowed) {
    table->apply(stream, UpdateContext{});
  }
  return matrices;
}

/// Puts the results of one rank into `out` under a lock.
void run_rank(const Problem& p, Communicator<Cpu>& communicator, Stream<Cpu>& stream, Ids ids,
              std::mutex& mutex, Outcome& out) {
  RankPart part(p, communicator);
  Tables tables;
  for (const TableOptions& options : p.tables) {
    tables.push_back(std::make_unique<Table<Cpu>>(
        options, owners_of(options, communicator.size()).shards_of(communicator.rank())));
  }
  const Matrices matrices = step_of_rank(p, communicator, stream, ids, part, tables);

  const std::lock_guard lock(mutex);
  for (std::size_t g = 0; g < 2; ++g) {
    const MatrixView<float>& rows = matrices.outputs[g];
    for (std::int64_t b = 0; b < part.samples; ++b) {
      out.pooled[g][static_cast<std::size_t>(part.first + b)] =
          Vector(rows.row(b), rows.row(b) + rows.cols);
    }
  }
  for (std::size_t t = 0; t < tables.size(); ++t) {
    collect_rows(*tables[t], out.rows[t]);
  }
}

}  // namespace

Outcome run(const Problem& p, int ranks, int threads, Ids ids) {
  Outcome out;
  out.pooled.assign(2, std::vector<Vector>(static_cast<std::size_t>(p.samples())));
  out.rows.resize(p.tables.size());
  std::mutex mutex;
  run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    run_rank(p, communicator, stream, ids, mutex, out);
  });
  return out;
}

}  // namespace keyshard::testing
