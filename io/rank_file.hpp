// The file of one rank inside a checkpoint: the rows of that rank's shards. They are written by
// HDF5, batch by batch; copying, digests and HDF5 overlap. They are read where they lie, without
// HDF5, by all threads of a stream. A digest is taken of rows in memory, before a write and after a
// read.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint_times.hpp"
#include "io/dataset_places.hpp"
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
/// shard that has rows, from several threads of the stream; the call must not use that stream.
using ShardSink = std::function<void(std::int64_t shard, Span<const Key> keys,
                                     const std::vector<const std::byte*>& columns)>;

/// What the functions of this file work with; borrowed.
struct RankFileWork {
  FileSystem& files;
  Stream<Cpu>& stream;
  Progress& progress;
  CheckpointTimes& times;
};

/// Writes which shards of a table have rows in a file whose first shard is `first`, and where the
/// rows of each begin.
void write_shards(Hdf5File& file, const ManifestTable& table, std::int64_t first);
/// Writes the name of a table that has datasets in the file.
void write_name(Hdf5File& file, const std::string& table);

/// Writes the rows of `shards`. Returns the manifest of a table that has these shards alone,
/// counted from 0, in one file.
ManifestTable write_table(RankFileWork work, Hdf5File& file, const TableSource& table,
                          Range shards);

/// A file of a rank that is open to be read.
struct RankFile {
  std::string path;
  std::unique_ptr<OpenFile> bytes;
};

RankFile open_rank_file(FileSystem& files, const std::string& path);

/// Where the datasets of a table begin in a file of format 1 or 2 that holds the shards of `held`,
/// as HDF5 knows it [1 + columns]. Throws Error{corrupt_data} naming file and dataset.
std::vector<std::int64_t> find_offsets(const std::string& path, const ManifestTable& table,
                                       Range held);
/// The same of a dense part.
std::int64_t find_offset(const std::string& path, const ManifestDense& dense);

/// The shards of a table in the file of a rank: those of `held`, in datasets that begin at
/// `offsets` [1 + columns], and of these the ones of `wanted`, which are read.
struct ShardsInFile {
  Range held;
  Range wanted;
  Span<const std::int64_t> offsets;
};

/// Reads shards and checks them against their digests. Throws Error{corrupt_data} naming file,
/// table, shard and column.
void read_table(RankFileWork work, const RankFile& file, const ManifestTable& table,
                ShardsInFile shards, const ShardSink& take);

/// Reads a dense part that begins at `offset` and checks it against its digest.
std::vector<std::byte> read_dense(const RankFile& file, const ManifestDense& dense,
                                  std::int64_t offset);

}  // namespace keyshard
