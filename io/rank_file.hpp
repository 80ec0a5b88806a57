// The HDF5 file of one rank inside a checkpoint: the rows of that rank's shards, written and read
// batch by batch by the threads of a stream. Copying, digests and HDF5 overlap. A digest is taken
// of rows in memory, before a write and after a read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/checkpoint_times.hpp"
#include "io/file_system.hpp"
#include "io/hdf5_file.hpp"
#include "io/manifest.hpp"
#include "runtime/progress.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// A table as this rank brings it to a save.
struct TableSource {
  TableShape shape;
  std::vector<std::int64_t> rows;  ///< of each shard of this rank
  /// Copies a shard: its keys, ascending, and each column [keys x width]. Called from several
  /// threads, once per shard.
  std::function<void(std::int64_t shard, Span<Key> keys, const std::vector<std::byte*>& columns)>
      copy;
  std::vector<std::int64_t> owners = {};  ///< of the shards, as ShardOwners takes them
};

/// Takes a shard that was read and checked: keys ascending, columns [keys x width]. Called once per
/// shard, from several threads of the stream; the call must not use that stream.
using ShardSink = std::function<void(std::int64_t shard, Span<const Key> keys,
                                     const std::vector<const std::byte*>& columns)>;

/// What the functions of this file work with; borrowed.
struct RankFileWork {
  FileSystem& files;
  Stream<Cpu>& stream;
  Progress& progress;
  CheckpointTimes& times;
};

/// "/tables/NAME/COLUMN".
std::string table_dataset(const std::string& table, const std::string& column);

/// Writes the rows of `shards`. Returns the digests of their columns [shards x (1 + columns)].
std::vector<Digest128> write_table(RankFileWork work, Hdf5File& file, const TableSource& table,
                                   Range shards);

/// Reads the shards of `wanted` from a file that holds those of `held`, and checks them against
/// their digests. Throws Error{corrupt_data} naming file, table, shard and column.
void read_table(RankFileWork work, const Hdf5File& file, const ManifestTable& table, Range held,
                Range wanted, const ShardSink& take);

/// Reads a dense part and checks it against its digest.
std::vector<std::byte> read_dense(const Hdf5File& file, const ManifestDense& dense);

}  // namespace keyshard
