// Saves checkpoints: each rank its shards in a file of its own, read back and compared before rank
// 0 commits all files by one rename. A save succeeds on all ranks, or fails on all of them with the
// same message. A save that fails leaves the folder as it was.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/checkpoint_times.hpp"
#include "io/file_system.hpp"
#include "io/rank_file.hpp"

namespace keyshard {

/// A part of the state that every rank holds whole. Rank 0 writes it. The values are borrowed.
struct DenseSource {
  std::string name;  ///< parts joined by '/'
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;  ///< of one dimension at least
  const void* values = nullptr;
};

/// What to save: the same on all ranks except for the rows of tables. The state digest depends on
/// the order of tables and of dense parts.
struct CheckpointContent {
  std::int64_t step = 0;
  std::int64_t shards = 0;  ///< of every table; this rank brings those that it owns
  SettingValue config;      ///< shown, and compared at a resume; not part of the state digest
  SettingValue state;       ///< everything small that a resume needs; finite numbers only
  std::vector<TableSource> tables;
  std::vector<DenseSource> dense;
};

/// Which committed checkpoints stay: the newest `keep`, the one just saved, and `pinned` (a step;
/// -1: none).
struct Retention {
  std::int64_t keep = 2;
  std::int64_t pinned = -1;
};

class CheckpointWriter {
 public:
  /// Makes the folder of checkpoints and removes what killed saves left there. Throws Error{io}
  /// where a rank sees another folder than rank 0. The caller makes sure that no other process
  /// saves there, for example by the lock of the job's folder (FolderLock). Collective.
  CheckpointWriter(FileSystem& files, std::string folder, Communicator<Cpu>& communicator,
                   Stream<Cpu>& stream);

  /// Saves `folder/step-N`; a checkpoint of the same step is replaced. Returns the times of this
  /// rank. Throws Error{io} on all ranks, naming the path. An older checkpoint, or debris, that
  /// cannot be removed afterwards is no error: `not_removed` says so. Collective.
  CheckpointTimes save(const CheckpointContent& content, const Retention& retention);

  /// What the last save could not remove, and why, the same on all ranks; empty: nothing.
  const std::string& not_removed() const noexcept { return not_removed_; }

 private:
  struct Save;

  std::string begin(std::int64_t step);
  void write_own_file(Save& save);
  void sync_and_read_back(Save& save);
  void read_back(Save& save, const std::string& path);
  void gather(Save& save);
  void commit(Save& save);
  void attempt(const std::function<void()>& remove);
  void retain(const Save& save, const Retention& retention);

  FileSystem& files_;
  std::string folder_;
  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  std::string not_removed_;
};

}  // namespace keyshard
