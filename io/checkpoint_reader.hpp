// Opens a committed checkpoint. All files are checked against the manifest, byte for byte: before
// anything is taken from them, or each dataset as it is read. Then each rank reads the shards that
// it owns, whichever ranks wrote the checkpoint, at the places that the manifest names. HDF5 is
// asked for the places in formats 1 and 2 alone. A checkpoint that is refused throws
// Error{corrupt_data} with file and reason, the same on all ranks, and the same whenever the
// bytes are checked.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/checkpoint_times.hpp"
#include "io/file_system.hpp"
#include "io/rank_file.hpp"

namespace keyshard {

/// When the bytes of a file are checked.
enum class FileCheck {
  before,  ///< all of them when the checkpoint is opened
  /// What belongs to no dataset when the checkpoint is opened, and each shard and dense part when
  /// it is read, before it is handed out: for who reads all of them, and can drop what it has taken
  /// where a later one is refused. Each byte is read once.
  as_read
};

class CheckpointReader {
 public:
  /// Opens the checkpoint `path` (".../step-000123") and verifies its files, each by one rank.
  /// Files of earlier versions, which do not allow `as_read`, are checked before. Collective.
  CheckpointReader(FileSystem& files, std::string path, Communicator<Cpu>& communicator,
                   Stream<Cpu>& stream, FileCheck check = FileCheck::before);

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
  void check_file(const ManifestFile& file);
  void check_rest(const ManifestFile& file);
  template <class Read>
  void read_checked(std::int64_t writer, const Read& read);
  std::string path_of(std::int64_t writer) const;
  const ManifestTable& table_of(const std::string& name) const;
  void read_shards(const ManifestTable& table, Range shards, const ShardSink& take);

  FileSystem& files_;
  std::string path_;
  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  FileCheck check_;
  Manifest manifest_;
  std::unordered_map<std::string, std::size_t> table_numbers_;  // by name
  CheckpointTimes times_;
};

}  // namespace keyshard
