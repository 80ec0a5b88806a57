// Rows of new keys while the table grows from empty: the first epoch of W1.
#include <algorithm>

#include <fmt/format.h>

#include "launch/bench/floors.hpp"
#include "launch/bench/machine.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"

namespace keyshard {
namespace {

/// Makes the rows of a step's ids that have none.
class Inserter {
 public:
  Inserter(BenchContext& context, const Initializer& initializer)
      : stream_(context.stream()), table_(options(context.dim(), initializer), {0, kShards}) {}

  void insert(Span<const Key> keys) {
    Buffer<RowId, Cpu> rows(stream_, static_cast<std::int64_t>(keys.size()));
    table_.find_or_insert(stream_, keys, rows.data());
  }

  const Table<Cpu>& table() const { return table_; }

 private:
  static TableOptions options(std::int64_t dim, const Initializer& initializer) {
    TableOptions options;
    options.name = "table";
    options.groups = {{"values", dim, initializer, {}, bench_adagrad(), {}}};
    return options;
  }

  Stream<Cpu>& stream_;
  Table<Cpu> table_;
};

/// Times every step of an epoch, each round from an empty table. Reports the longest step of all
/// rounds, and the median over rounds of the longest pause.
template <class Make>
BenchResult insert_epoch(BenchContext& context, const std::string& peer, const IdBatches& batches,
                         const Make& make) {
  BenchResult result{peer, "W1 insert", "ms", context.dim(), {}, {}, 0, 0};
  double longest = 0;
  std::vector<double> pauses;
  result.others_busy = context.wait_quiet();
  for (std::int64_t round = 0; round < context.command().rounds; ++round) {
    const std::int64_t before = resident_bytes();
    auto inserter = make();
    std::vector<double> milliseconds;
    for (std::int64_t step = 0; step < batches.steps(); ++step) {
      milliseconds.push_back(1e3 *
                             context.seconds_of([&] { inserter->insert(batches.keys_of(step)); }));
    }
    result.rounds.push_back(spread_of(milliseconds));
    longest = std::max(longest, result.rounds.back().max);
    pauses.push_back(longest_pause(milliseconds));
    if (round == 0) {
      const auto rows = static_cast<double>(inserter->rows());
      result.extra = {{"rows", rows},
                      {"rss_per_row", static_cast<double>(resident_bytes() - before) / rows}};
    }
  }
  result.extra.emplace_back("mkeys_per_s", batches.mean_ids() / result.median() / 1e3);
  result.extra.emplace_back("longest_step", longest);
  result.extra.emplace_back("longest_pause", spread_of(pauses).median);
  return result;
}

std::string steps_of(const BenchResult& result) {
  return fmt::format("longest step {:.2f} ms, pause {:.2f} ms",
                     result.extra[result.extra.size() - 2].second, result.extra.back().second);
}

struct OwnRows : Inserter {
  using Inserter::Inserter;

  std::int64_t rows() const { return table().size(); }
};

struct FloorRows : SparseFloor {
  using SparseFloor::SparseFloor;

  std::int64_t rows() const { return size(); }
};

}  // namespace

void measure_insert(BenchContext& context) {
  if (context.communicator().size() > 1) {
    context.report().say("W1 insert: a table of one rank; skipped on several");
    return;
  }
  const IdBatches& batches = context.whole("W1");
  const BenchResult floor = insert_epoch(context, "floor", batches, [&] {
    return std::make_unique<FloorRows>(context.stream().threads(), context.dim(),
                                       FloorOptimizer::adagrad);
  });
  const std::pair<std::string, Initializer> variants[] = {{"", Constant{0.01f}},
                                                          {"normal", Normal{}}};
  for (const auto& variant : variants) {
    const BenchResult ours = insert_epoch(context, context.own_name(variant.first), batches, [&] {
      return std::make_unique<OwnRows>(context, variant.second);
    });
    context.report().compare(ours, floor, steps_of(ours) + "; floor's " + steps_of(floor));
  }
}

}  // namespace keyshard
