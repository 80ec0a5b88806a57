#include "io/gathered_tables.hpp"

#include <vector>

#include "runtime/digest.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {
namespace {

/// What is left of the messages of a rank.
struct RankPart {
  const std::int64_t* numbers;
  const Digest128* digests;
};

/// What a rank knows of one table: of its shards that have rows.
struct TablePart {
  Span<const std::int64_t> filled;  ///< counted from the first shard of the rank
  Span<const std::int64_t> rows;
  Span<const std::int64_t> offsets;
  Span<const Digest128> digests;

  /// Takes the next table out of the messages of a rank.
  TablePart(RankPart& rank, std::int64_t columns) {
    const std::int64_t size = *rank.numbers++;
    filled = {rank.numbers, size};
    rows = {rank.numbers + size, size};
    offsets = {rank.numbers + 2 * size, columns};
    digests = {rank.digests, size * columns};
    rank.numbers += 2 * size + columns;
    rank.digests += size * columns;
  }
};

/// Joins what the ranks know of a table, in the order of shards.
void join_table(ManifestTable& table, const ShardOwners& owners, std::vector<RankPart>& ranks) {
  std::vector<TablePart> parts;
  for (RankPart& rank : ranks) {
    parts.emplace_back(rank, std::ssize(table.shape.columns) + 1);
    table.offsets.insert(table.offsets.end(), parts.back().offsets.begin(),
                         parts.back().offsets.end());
  }
  for (std::int64_t run = 0; run < owners.runs(); ++run) {
    const TablePart& part = parts[static_cast<std::size_t>(owners.rank_of_run(run))];
    for (const std::int64_t shard : part.filled) {
      table.filled.push_back(owners.shards_of_run(run).begin + shard);
    }
    table.rows.insert(table.rows.end(), part.rows.begin(), part.rows.end());
    table.digests.insert(table.digests.end(), part.digests.begin(), part.digests.end());
  }
}

}  // namespace

void gather_tables(Manifest& manifest, std::int64_t shards, Communicator<Cpu>& communicator) {
  std::vector<std::int64_t> numbers;
  std::vector<Digest128> digests;
  for (ManifestTable& table : manifest.tables) {
    numbers.push_back(std::ssize(table.filled));
    for (const auto* list : {&table.filled, &table.rows, &table.offsets}) {
      numbers.insert(numbers.end(), list->begin(), list->end());
    }
    digests.insert(digests.end(), table.digests.begin(), table.digests.end());
    table = {table.shape, shards, {}, {}, {}, {}, table.owners};
  }
  const auto all_numbers = communicator.gather_lists(Span<const std::int64_t>(numbers));
  const auto all_digests = communicator.gather_lists(Span<const Digest128>(digests));
  std::vector<RankPart> ranks;
  for (std::size_t rank = 0; rank < all_numbers.size(); ++rank) {
    ranks.push_back({all_numbers[rank].data(), all_digests[rank].data()});
  }
  for (ManifestTable& table : manifest.tables) {
    join_table(table, table.writers(manifest.ranks), ranks);
  }
}

}  // namespace keyshard
