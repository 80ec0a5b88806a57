// What a rank sends in a step of W1, counted at the communicator, beside the formula of
// docs/scale.md; and what the formula says of more ranks.
#include <fmt/format.h>

#include "embedding/rows/dedup.hpp"
#include "launch/bench/counting_communicator.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/bench/wire_bytes.hpp"

namespace keyshard {
namespace {

/// The number of distinct keys in the first `samples` samples of a step.
double distinct_keys(BenchContext& context, const IdBatches& batches, std::int64_t samples) {
  const Partitioner partitioner = partitioner_of("hash", "table0");
  const auto ids = static_cast<std::size_t>(
      batches.offsets_of(0)[static_cast<std::size_t>(samples * batches.features)]);
  return static_cast<double>(
      dedup(context.stream(),
            Occurrences{.keys = batches.keys_of(0).first(ids), .partitioners = {&partitioner, 1}})
          .size());
}

/// Distinct keys that each rank asks of each owner. Collective.
std::vector<std::vector<std::int64_t>> asked_keys(Communicator<Cpu>& communicator,
                                                  Stream<Cpu>& stream, Span<const Key> own,
                                                  const Partitioner& partitioner) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const TableOwners owners(communicator.size());
  const Distinct<Cpu> distinct =
      dedup(stream, Occurrences{.keys = own, .partitioners = {&partitioner, 1}, .owners = &owners});
  std::vector<std::int64_t> mine(ranks), all(ranks * ranks);
  for (std::size_t owner = 0; owner < ranks; ++owner) {
    mine[owner] = distinct.blocks[owner + 1] - distinct.blocks[owner];
  }
  communicator.all_gather(std::as_bytes(Span<const std::int64_t>(mine)),
                          std::as_writable_bytes(Span<std::int64_t>(all)));
  std::vector<std::vector<std::int64_t>> asked;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(rank * ranks);
    asked.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(ranks));
  }
  return asked;
}

void say_more_ranks(BenchContext& context, const IdBatches& whole) {
  for (const std::int64_t ranks : {8, 64, 1000}) {
    const std::int64_t shared = std::max<std::int64_t>(1, whole.samples / ranks);
    for (const std::int64_t samples : {shared, whole.samples}) {
      const double distinct = distinct_keys(context, whole, samples);
      const WireBytes bytes = even_wire_bytes(ranks, distinct, context.dim());
      context.report().say(fmt::format(
          "W1 wire, {:4} ranks x {:4} samples   formula: {:8.0f} distinct keys a rank, {:9.3f} MB "
          "sent by it, of which counts {:.3f}; {} messages of {:.0f} bytes on average",
          ranks, samples, distinct, static_cast<double>(bytes.total()) / 1e6,
          static_cast<double>(bytes.counts) / 1e6, 4 * (ranks - 1),
          static_cast<double>(bytes.total()) / (4.0 * static_cast<double>(ranks - 1))));
    }
  }
}

}  // namespace

void measure_scale(BenchContext& context) {
  const IdBatches& own = context.own("W1");
  CountingCommunicator counting(context.communicator());
  SparseOptions options;
  options.dim = context.dim();
  options.optimizer = bench_adagrad();
  SparseStep<Cpu> step(counting, context.stream(), own, options);
  const Partitioner partitioner = step.tables().tables().front()->partitioner();
  const std::int64_t before = counting.bytes();
  step.train(0);
  const auto counted = static_cast<double>(counting.bytes() - before);
  const auto asked =
      asked_keys(context.communicator(), context.stream(), own.keys_of(0), partitioner);
  const WireBytes formula =
      wire_bytes(asked, static_cast<std::size_t>(context.communicator().rank()), context.dim());
  context.report().say(fmt::format(
      "W1 wire, {:4} ranks x {:4} samples   counted: {:9.0f} bytes sent by rank 0 in {} messages; "
      "formula: {} (keys {}, rows {}, gradients {}, counts {})",
      context.communicator().size(), own.samples, counted, counting.messages(), formula.total(),
      formula.keys, formula.rows, formula.gradients, formula.counts));
  if (context.communicator().size() == 1) {
    say_more_ranks(context, context.whole("W1"));
  }
}

}  // namespace keyshard
