// Distinct keys on a CUDA device. Lanes bring their occurrences into one hash table, in which the
// smallest occurrence of a key stands for it; stable sorts give the order. No counter is shared.
#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "embedding/rows/dedup.hpp"
#include "embedding/rows/occurrence_functors.hpp"
#include "runtime/error.hpp"
#include "runtime/primitives_cuda.hpp"

namespace keyshard {
namespace {

/// The tables of occurrences that are told apart by blocks; else what `in` gives.
const std::uint16_t* tables_of(Stream<Cuda>& stream, const Occurrences& in,
                               Buffer<std::uint16_t, Cuda>& storage) {
  if (in.tables != nullptr || in.blocks.empty() || in.partitioners.size() == 1) {
    return in.tables;
  }
  storage = {stream, in.keys.size()};
  Buffer<std::int64_t, Cuda> starts;
  for_each(stream, in.keys.size(),
           WriteTableOfBlock{.starts = device_view(stream, in.blocks, starts),
                             .blocks = in.blocks.size() - 1,
                             .num_tables = in.partitioners.size(),
                             .tables = storage.data()});
  return storage.data();
}

/// Distinct keys while they get their numbers.
struct Numbering {
  OccurrencesRef in;
  Buffer<std::uint32_t, Cuda> slots;    ///< a power of two of them, twice the occurrences or more
  Buffer<std::uint32_t, Cuda> slot_of;  ///< of each occurrence
  Buffer<std::uint32_t, Cuda> representatives = {};  ///< ascending
};

Numbering find_representatives(Stream<Cuda>& stream, const OccurrencesRef& in, std::int64_t n) {
  const auto size = std::bit_ceil(static_cast<std::uint64_t>(2 * n));
  Numbering keys{in, {stream, static_cast<std::int64_t>(size)}, {stream, n}};
  fill_zero(stream, keys.slots.data(), keys.slots.size());
  for_each(stream, n,
           InsertOccurrence{.in = in,
                            .table = {keys.slots.data(), size - 1, 64 - std::countr_zero(size)},
                            .slot_of = keys.slot_of.data()});
  keys.representatives =
      select(stream, n, IsRepresentative{keys.slots.data(), keys.slot_of.data()});
  return keys;
}

std::int64_t blocks_of(const Occurrences& in) {
  return (in.owners == nullptr ? 1 : in.owners->ranks()) * in.partitioners.size();
}

/// Numbers the keys block by block and writes them out.
void number_keys(Stream<Cuda>& stream, const Occurrences& in, Numbering& keys,
                 Distinct<Cuda>& out) {
  const std::int64_t size = keys.representatives.size();
  const std::int64_t blocks = blocks_of(in);
  Selection<Cuda> grouped{{}, {0, size}};
  if (blocks > 1) {
    Buffer<Partitioner, Cuda> storage;
    TableOwnersStorage<Cuda> owners;
    const TableOwners nobody(1, in.partitioners.size());
    grouped = group_by(
        stream, size, blocks,
        BlockOfKey{.in = keys.in,
                   .representatives = keys.representatives.data(),
                   .partitioners = device_view(stream, in.partitioners, storage),
                   .num_tables = in.partitioners.size(),
                   .owners = (in.owners == nullptr ? nobody : *in.owners).ref(stream, owners)});
  }
  out.blocks = std::move(grouped.starts);
  out.keys = {stream, size};
  for_each(stream, size,
           NumberKey{.in = keys.in,
                     .representatives = keys.representatives.data(),
                     .order = grouped.indices.data(),
                     .slot_of = keys.slot_of.data(),
                     .slots = keys.slots.data(),
                     .keys = out.keys.data()});
}

/// Groups the occurrences by key.
void group_occurrences(Stream<Cuda>& stream, const Numbering& keys, Distinct<Cuda>& out) {
  const std::int64_t n = keys.slot_of.size(), size = out.keys.size();
  Buffer<std::uint32_t, Cuda> sorted(stream, n);
  out.inverse = {stream, n};
  out.occurrences = {stream, n};
  out.offsets = {stream, size + 1};
  for_each(stream, n,
           InvertOccurrence{.slots = keys.slots.data(),
                            .slot_of = keys.slot_of.data(),
                            .inverse = out.inverse.data(),
                            .sorted = sorted.data(),
                            .occurrences = out.occurrences.data()});
  sort_by_key(stream, sorted, out.occurrences,
              static_cast<int>(std::bit_width(static_cast<std::uint64_t>(size))));
  for_each(stream, n, StartOfKey{sorted.data(), n, out.offsets.data()});
}

Distinct<Cuda> no_keys(Stream<Cuda>& stream, const Occurrences& in) {
  Distinct<Cuda> out;
  out.blocks.resize(static_cast<std::size_t>(blocks_of(in) + 1));
  out.offsets = {stream, 1};
  fill_zero(stream, out.offsets.data(), 1);
  return out;
}

}  // namespace

template <>
Distinct<Cuda> dedup(Stream<Cuda>& stream, const Occurrences& in) {
  const std::int64_t n = in.keys.size();
  require(n < std::int64_t{0xFFFFFFFF}, Kind::invalid_argument,
          "expected fewer than 2^32 - 1 ids in a batch of one rank: found {}", n);
  for (const Partitioner& partitioner : in.partitioners) {
    require(
        is_built_in(partitioner), Kind::not_built,
        "partitioner {}: rules of a program are functions of the host and need a table on a CPU",
        name_of(partitioner));
  }
  if (n == 0) {
    return no_keys(stream, in);
  }
  Buffer<std::uint16_t, Cuda> tables;
  Numbering keys = find_representatives(stream, {in.keys.data(), tables_of(stream, in, tables)}, n);
  Distinct<Cuda> out;
  number_keys(stream, in, keys, out);
  group_occurrences(stream, keys, out);
  return out;
}

}  // namespace keyshard
