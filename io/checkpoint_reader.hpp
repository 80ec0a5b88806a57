// Opens a committed checkpoint. All files are checked against the manifest, byte for byte, before
// anything is taken from them. Then each rank reads the shards that it owns, whichever ranks
// wrote the checkpoint, at the places that the manifest names. HDF5 is asked for the places in
// formats 1 and 2 alone. A checkpoint that is refused throws
// Error{corrupt_data} with file and reason, the same on all ranks.
#pragma once

#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/checkpoint_times.hpp"
#include "io/file_system.hpp"
#include "io/rank_file.hpp"

namespace keyshard {

class CheckpointReader {
 public:
  /// Opens the checkpoint `path` (".../step-000123") and verifies its files, each by one rank.
  /// Collective.
  CheckpointReader(FileSystem& files, std::string path, Communicator<Cpu>& communicator,
                   Stream<Cpu>& stream);

  const std::string& path() const noexcept { return path_; }

  const Manifest& manifest() const noexcept { return manifest_; }

  /// The digest of the state that was saved: equal to the digest of that state in memory.
  Digest128 state_digest() const { return manifest_.state_digest(); }

  /// Reads `shards` of a table, each column checked against its digest. Ranks may ask for any
  /// shards. What one rank throws, also in `take`, is thrown on all ranks. Collective.
  void read_table(const std::string& name, Range shards, const ShardSink& take);

  /// The same where each rank reads its run of all shards: run_of(rank, ranks, shards). Collective.
  void read_table(const std::string& name, const ShardSink& take);

  /// A dense part, the same on every rank. Throws Error{corrupt_data} where there is none of that
  /// name. Collective.
  std::vector<std::byte> read_dense(const std::string& name);

  /// Reads everything and keeps nothing: checks the digests of all columns and dense parts.
  /// Collective.
  void verify();

  /// What is inside, for `inspect`: step, ranks, bytes, state digest, tables with rows and columns,
  /// dense parts.
  SettingValue description() const;

  /// Where the time of this rank has gone so far.
  const CheckpointTimes& times() const noexcept { return times_; }

 private:
  void check_file_set();
  void check_own_files();
  std::string path_of(std::int64_t writer) const;
  void read_shards(const ManifestTable& table, Range shards, const ShardSink& take);

  FileSystem& files_;
  std::string path_;
  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  Manifest manifest_;
  CheckpointTimes times_;
};

}  // namespace keyshard
