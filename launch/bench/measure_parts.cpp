// Parts of a sparse step alone: finding keys, deduplicating ids, and what travels between ranks.
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "collectives/exchange.hpp"
#include "embedding/rows/dedup.hpp"
#include "launch/bench/floors.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"

namespace keyshard {
namespace {

/// The distinct keys of a step, grouped by owner.
Distinct<Cpu> distinct_of(BenchContext& context, Span<const Key> keys) {
  const Partitioner partitioner = partitioner_of("hash", "table");
  const TableOwners owners(context.communicator().size());
  return dedup(context.stream(),
               Occurrences{.keys = keys, .partitioners = {&partitioner, 1}, .owners = &owners});
}

std::unique_ptr<SparseFloor> filled_floor(BenchContext& context, const IdBatches& batches) {
  auto floor = std::make_unique<SparseFloor>(context.stream().threads(), context.dim(),
                                             FloorOptimizer::adagrad);
  floor->insert(batches.table_keys.empty() ? batches.keys : batches.table_keys);
  return floor;
}

void find_in(BenchContext& context, const std::string& workload) {
  const IdBatches& own = context.own(workload);
  SparseOptions options;
  options.dim = context.dim();
  options.optimizer = bench_adagrad();
  SparseStep<Cpu> step(context.communicator(), context.stream(), own, options);
  step.fill(context.whole(workload));
  const Table<Cpu>& table = *step.tables().tables().front();
  const auto floor = filled_floor(context, context.whole(workload));

  // The distinct keys of a step that this rank owns.
  std::vector<std::vector<Key>> keys;
  std::size_t most = 0;
  for (std::int64_t s = 0; s < own.steps(); ++s) {
    keys.emplace_back();
    const Distinct<Cpu> distinct = distinct_of(context, own.keys_of(s));
    for (const Key key : distinct.keys.span()) {
      if (table.shards().contains(shard_of(table.partitioner(), key))) {
        keys.back().push_back(key);
      }
    }
    most = std::max(most, keys.back().size());
  }
  std::vector<RowId> ids(most);
  std::vector<const float*> rows(most);
  const std::vector<BenchResult> results = context.race(
      workload + " find", own.steps(),
      {{context.own_name(),
        [&](std::int64_t s) {
          table.find(context.stream(), keys[static_cast<std::size_t>(s)], ids.data());
        }},
       {"probe",
        [&](std::int64_t s) { floor->find(keys[static_cast<std::size_t>(s)], rows.data()); }}});
  context.report().compare(
      results[0], results[1],
      fmt::format("{:.1f} M keys/s", static_cast<double>(most) / results[0].median() / 1e3));
}

/// The messages between ranks in the steps of a workload, without any other work.
class Travel {
 public:
  Travel(BenchContext& context, const IdBatches& own)
      : stream_(context.stream()), dim_(context.dim()) {
    std::int64_t most = 0;
    for (std::int64_t s = 0; s < own.steps(); ++s) {
      Step step{distinct_of(context, own.keys_of(s)), {}};
      std::vector<std::int64_t> counts(step.distinct.blocks.size() - 1);
      for (std::size_t rank = 0; rank < counts.size(); ++rank) {
        counts[rank] = step.distinct.blocks[rank + 1] - step.distinct.blocks[rank];
      }
      step.exchange = Exchange<Cpu>(context.communicator(), counts);
      most = std::max({most, step.exchange.sent(), step.exchange.received()});
      steps_.push_back(std::move(step));
    }
    keys_ = {stream_, most};
    there_ = {stream_, most * dim_};
    here_ = {stream_, most * dim_};
    std::memset(there_.data(), 0, there_.span().size_bytes());
  }

  /// Sends keys to owners, rows back, and gradients to owners. Collective.
  void exchange(std::int64_t s) {
    const Step& step = steps_[static_cast<std::size_t>(s)];
    step.exchange.forward(stream_, step.distinct.keys.data(), keys_.data());
    step.exchange.backward(stream_, there_.data(), here_.data(), dim_);
    step.exchange.forward(stream_, here_.data(), there_.data(), dim_);
  }

  /// As many bytes within this rank.
  void copy(std::int64_t s) {
    const Step& step = steps_[static_cast<std::size_t>(s)];
    const auto rows = static_cast<std::size_t>(step.exchange.sent());
    std::memcpy(keys_.data(), step.distinct.keys.data(), rows * sizeof(Key));
    for (int way = 0; way < 2; ++way) {
      std::memcpy(here_.data(), there_.data(),
                  rows * static_cast<std::size_t>(dim_) * sizeof(float));
    }
  }

 private:
  struct Step {
    Distinct<Cpu> distinct;
    Exchange<Cpu> exchange;
  };

  Stream<Cpu>& stream_;
  std::int64_t dim_;
  std::vector<Step> steps_;
  Buffer<Key, Cpu> keys_;
  Buffer<float, Cpu> there_, here_;
};

}  // namespace

void measure_find(BenchContext& context) {
  find_in(context, "W1");
  if (context.dim() <= 16) {
    find_in(context, "W3");
  }
}

void measure_dedup(BenchContext& context) {
  for (const char* workload : {"W1", "W2", "W3"}) {
    const IdBatches& own = context.own(workload);
    SparseFloor floor(context.stream().threads(), context.dim(), FloorOptimizer::adagrad);
    const std::vector<BenchResult> results = context.race(
        fmt::format("{} dedup", workload), own.steps(),
        {{context.own_name(), [&](std::int64_t s) { distinct_of(context, own.keys_of(s)); }},
         {"floor", [&](std::int64_t s) { floor.count_distinct(own.keys_of(s)); }}});
    context.report().compare(results[0], results[1]);
  }
}

void measure_exchange(BenchContext& context) {
  const IdBatches& own = context.own("W1");
  Travel travel(context, own);
  const std::vector<BenchResult> results =
      context.race("W1 exchange", own.steps(),
                   {{context.own_name("all-to-all"), [&](std::int64_t s) { travel.exchange(s); }},
                    {"memcpy", [&](std::int64_t s) { travel.copy(s); }}});
  context.report().compare(results[0], results[1],
                           "keys there, rows back, gradients there; own part included");
}

void measure_same_bits(BenchContext& context) {
  const IdBatches& own = context.own("W1");
  if (context.communicator().size() > 1) {
    context.report().say("W1 same bits: one slice is of one rank; skipped on several");
    return;
  }
  std::vector<std::unique_ptr<SparseStep<Cpu>>> steps;
  for (const std::int64_t slices : {16, 1}) {
    SparseOptions options;
    options.dim = context.dim();
    options.optimizer = bench_adagrad();
    options.slices = slices;
    steps.push_back(
        std::make_unique<SparseStep<Cpu>>(context.communicator(), context.stream(), own, options));
    steps.back()->fill(own);
  }
  const std::vector<BenchResult> results =
      context.race("W1 train, 16 slices folded", own.steps(),
                   {{"keyshard", [&](std::int64_t s) { steps[0]->train(s); }},
                    {"one slice", [&](std::int64_t s) { steps[1]->train(s); }}});
  context.report().compare(results[0], results[1]);
}

}  // namespace keyshard
