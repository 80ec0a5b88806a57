// Saves checkpoints: each rank its shards in a file of its own, read back and compared before rank
// 0 commits all files by one rename. A save succeeds on all ranks, or fails on all of them with the
// same message. A save that fails leaves the folder as it was. A save has two halves, so that a
// caller need not wait for the disk: `begin` writes and reads back; then threads bring the files to
// the disk, commit them and remove older ones beside other work, until `advance` or `finish` ends
// the save.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
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
  std::shared_ptr<const void> memory = nullptr;  ///< what the parts borrow, as far as it is not
                                                 ///< kept elsewhere
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
  /// Gives a save up that was not finished.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Saves `folder/step-N`; a checkpoint of the same step is replaced. Returns the times of this
  /// rank. Throws Error{io} on all ranks, naming the path. An older checkpoint, or debris, that
  /// cannot be removed afterwards is no error: `not_removed` says so. Collective.
  CheckpointTimes save(const CheckpointContent& content, const Retention& retention);

  /// The first half of `save`: afterwards the content may change. The folder has no new checkpoint
  /// and lacks no old one before `advance` or `finish`, which must end it before the next save.
  /// Throws as `save`. Collective.
  void begin(const CheckpointContent& content, const Retention& retention);

  /// Whether a save has begun and is not finished; the same on all ranks.
  bool pending() const noexcept { return pending_ != nullptr; }

  /// Takes the save that has begun a part further where the disks of all ranks are done with the
  /// part before, and does not wait; whether the save has ended. Throws as `save`. Collective.
  bool advance();

  /// The second half: waits for the disks of all ranks, commits, and removes what the retention
  /// leaves out. Throws as `save`. Collective.
  CheckpointTimes finish();

  /// What the last save could not remove, and why, the same on all ranks; empty: nothing.
  const std::string& not_removed() const noexcept { return not_removed_; }

 private:
  struct Save;

  template <class Part>
  void try_part(const Part& part);
  std::string make_folder(std::int64_t step);
  void write_own_file(Save& save, const CheckpointContent& content);
  void read_back(Save& save);
  void read_back(Save& save, const std::string& path);
  void gather(Save& save, const CheckpointContent& content);
  void write_rest(Save& save);
  void write_manifest(const Save& save);
  void begin_commit();
  void commit(Save& save);
  CheckpointTimes end();
  void wait_for(std::vector<std::future<void>*> threads);
  void give_up();
  void attempt(const std::function<void()>& remove);
  void retain(const Save& save);

  FileSystem& files_;
  std::string folder_;
  Communicator<Cpu>& communicator_;
  Stream<Cpu>& stream_;
  std::string not_removed_;
  std::unique_ptr<Save> pending_;
};

}  // namespace keyshard
