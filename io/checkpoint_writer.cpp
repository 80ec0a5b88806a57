#include "io/checkpoint_writer.hpp"

#include <algorithm>
#include <chrono>
#include <future>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "io/dataset_places.hpp"
#include "io/gathered_tables.hpp"
#include "io/manifest_file.hpp"
#include "io/overview_file.hpp"
#include "io/shard_batch.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// One save under way on this rank.
struct CheckpointWriter::Save {
  Retention retention;
  std::string folder;  // temporary
  Manifest manifest;   // of what this rank has written; after `gather`, of what all have
  CheckpointTimes times;
  // Threads that work with the disk; the destructor waits for them. Rank 0 alone has the last two:
  // for what it writes beside its own file, and for the commit.
  std::future<void> own_synced, rest_synced, committed;
  bool committing = false;
};

namespace {

ManifestDense manifest_of(const DenseSource& source) {
  ManifestDense dense{source.name, source.type, source.shape, 0, {}};
  dense.digest = digest_of(source.values, static_cast<std::size_t>(dense.bytes()));
  return dense;
}

}  // namespace

CheckpointWriter::CheckpointWriter(FileSystem& files, std::string folder,
                                   Communicator<Cpu>& communicator, Stream<Cpu>& stream)
    : files_(files), folder_(std::move(folder)), communicator_(communicator), stream_(stream) {
  require_same_folder(files_, folder_, communicator_);
}

CheckpointWriter::~CheckpointWriter() {
  if (pending_) {
    give_up();
  }
}

CheckpointTimes CheckpointWriter::save(const CheckpointContent& content,
                                       const Retention& retention) {
  begin(content, retention);
  return finish();
}

void CheckpointWriter::begin(const CheckpointContent& content, const Retention& retention) {
  require(!pending_, Kind::invalid_argument,
          "{}: expected `finish` of a save before the next one begins: found none", folder_);
  const InPhase phase(communicator_.progress(), Phase::saving);
  const std::string folder = make_folder(content.step);
  pending_ = std::make_unique<Save>(Save{retention, folder, {}, {}, {}, {}, {}});
  try_part([&](Save& save) {
    vote(communicator_, [&] {
      write_own_file(save, content);
      read_back(save);
    });
    gather(save, content);
    vote(communicator_, [&] {
      if (communicator_.rank() == 0) {
        write_rest(save);
      }
    });
  });
}

/// Does a part of the save under way, and gives the save up where the part fails.
template <class Part>
void CheckpointWriter::try_part(const Part& part) {
  try {
    const TimedPart timed(pending_->times.total);
    part(*pending_);
  } catch (...) {
    give_up();
    throw;
  }
}

bool CheckpointWriter::advance() {
  require(pending_ != nullptr, Kind::invalid_argument,
          "{}: expected a save that has begun: found none", folder_);
  const auto ended = [](const std::future<void>& work) {
    return !work.valid() || work.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  std::int64_t all =
      ended(pending_->own_synced) && ended(pending_->rest_synced) && ended(pending_->committed) ? 1
                                                                                                : 0;
  communicator_.all_reduce(Span<std::int64_t>(&all, 1), Reduction::min);
  if (all == 1 && !pending_->committing) {
    begin_commit();
  } else if (all == 1) {
    end();
  }
  return !pending_;
}

CheckpointTimes CheckpointWriter::finish() {
  require(pending_ != nullptr, Kind::invalid_argument,
          "{}: expected a save that has begun: found none", folder_);
  if (!pending_->committing) {
    begin_commit();
  }
  return end();
}

/// Waits for the disks of all ranks; then a thread of rank 0 commits.
void CheckpointWriter::begin_commit() {
  try_part([&](Save& save) {
    wait_for({&save.own_synced, &save.rest_synced});
    save.committing = true;
    vote(communicator_, [&] {
      if (communicator_.rank() == 0) {
        save.committed = std::async(std::launch::async, [this, &save] {
          commit(save);
          retain(save);
        });
      }
    });
  });
}

CheckpointTimes CheckpointWriter::end() {
  try_part([&](Save& save) {
    wait_for({&save.committed});
    not_removed_ = broadcast_text(communicator_, not_removed_);
  });
  const CheckpointTimes times = pending_->times;
  pending_.reset();
  return times;
}

/// Waits for threads of all ranks. Collective.
void CheckpointWriter::wait_for(std::vector<std::future<void>*> threads) {
  const InPhase phase(communicator_.progress(), Phase::saving);
  vote(communicator_, [&] {
    const InPhase syncing(communicator_.progress(), Phase::syncing);
    for (std::future<void>* thread : threads) {
      if (thread->valid()) {
        thread->get();
      }
    }
  });
}

/// Ends a save without a checkpoint.
void CheckpointWriter::give_up() {
  const std::string folder = pending_->folder;
  pending_.reset();  // its threads end first
  if (communicator_.rank() == 0) {
    try {
      files_.remove_tree(folder);
    } catch (const Error&) {
      // The next save removes the folder; the caller learns of the first error alone.
    }
  }
}

std::string CheckpointWriter::make_folder(std::int64_t step) {
  const std::string path =
      fmt::format("{}/{}.tmp-{}", folder_, step_name(step), unique_suffix(communicator_));
  not_removed_.clear();
  vote(communicator_, [&] {
    if (communicator_.rank() == 0) {
      attempt([&] { remove_debris(files_, folder_); });
      files_.make_folder(path);
    }
  });
  return path;
}

void CheckpointWriter::write_own_file(Save& save, const CheckpointContent& content) {
  Manifest& manifest = save.manifest;
  manifest.step = content.step;
  manifest.ranks = communicator_.size();
  const std::string name = rank_file_name(communicator_.rank(), communicator_.size());
  manifest.files = {{name, 0, {}}};
  Hdf5File file = Hdf5File::create(save.folder + "/" + name);
  file.set_integer("/", "format", kCheckpointFormat);
  file.set_integer("/", "step", manifest.step);
  const RankFileWork work{files_, stream_, communicator_.progress(), save.times};
  for (const TableSource& table : content.tables) {
    const ShardOwners owners(manifest.ranks, content.shards, table.owners);
    manifest.tables.push_back(
        write_table(work, file, table, owners.shards_of(communicator_.rank())));
    manifest.tables.back().owners = owners.list();
  }
  if (communicator_.rank() == 0) {
    for (const DenseSource& dense : content.dense) {
      manifest.dense.push_back(manifest_of(dense));
      manifest.dense.back().offset =
          file.write(dense_dataset(dense.name), dense.type, dense.shape, dense.values);
    }
  }
  const TimedPart timed(save.times.write);
  file.close();
}

void CheckpointWriter::read_back(Save& save) {
  const std::string path = save.folder + "/" + save.manifest.files[0].name;
  // The file goes to the disk while it is read back from the page cache.
  save.own_synced = std::async(std::launch::async, [this, &save, path] {
    const TimedPart timed(save.times.sync);
    files_.sync(path);
  });
  try {
    read_back(save, path);
  } catch (const Error& error) {
    require(error.kind() != Kind::corrupt_data, Kind::io, "{}: not as it was written: {}", path,
            error.text());
    throw;
  }
}

void CheckpointWriter::read_back(Save& save, const std::string& path) {
  ManifestFile& own = save.manifest.files[0];
  Progress& progress = communicator_.progress();
  for (const FileEntry& entry : files_.list(save.folder)) {
    own.bytes = entry.name == own.name ? entry.bytes : own.bytes;
  }
  save.times.bytes = own.bytes;
  {
    const TimedPart timed(save.times.verify);
    own.digest =
        file_digest(files_, path, own.bytes, stream_.threads(), [&] { progress.advance(); });
  }
  // This rank knows the digests of its own shards alone, so its shards are read as if a table had
  // no others.
  const RankFile file = open_rank_file(files_, path);
  FilePieces pieces(path, own);
  for (const ManifestTable& table : save.manifest.tables) {
    const Range all{0, table.shards};
    pieces.add(table.shape, table.rows_in(all), table.offsets_of(0));
    read_table({files_, stream_, progress, save.times}, file, table,
               {all, all, table.offsets_of(0)}, [](auto, auto, auto&) {});
  }
  for (const ManifestDense& dense : save.manifest.dense) {
    pieces.add(dense);
    read_dense(file, dense, dense.offset);
  }
  own.rest = rest_digest(files_, path, pieces.rest());
}

void CheckpointWriter::gather(Save& save, const CheckpointContent& content) {
  Manifest& manifest = save.manifest;

  struct Entry {
    std::int64_t bytes;
    Digest128 digest, rest;
  };

  const ManifestFile& own = manifest.files[0];
  const std::vector<Entry> entries =
      communicator_.gather_values(Entry{own.bytes, own.digest, *own.rest});
  manifest.files.clear();
  for (std::int64_t rank = 0; rank < manifest.ranks; ++rank) {
    const Entry& entry = entries[static_cast<std::size_t>(rank)];
    manifest.files.push_back(
        {rank_file_name(rank, manifest.ranks), entry.bytes, entry.digest, entry.rest});
  }
  gather_tables(manifest, content.shards, communicator_);
  manifest.config = content.config;
  manifest.state = content.state;
}

/// Writes the overview; a thread makes the manifest and brings both to the disk.
void CheckpointWriter::write_rest(Save& save) {
  const std::string overview = save.folder + "/" + kOverviewName;
  write_overview(overview, save.manifest);
  for (const FileEntry& entry : files_.list(save.folder)) {
    if (entry.name == kOverviewName) {
      save.manifest.files.push_back(
          {entry.name, entry.bytes, file_digest(files_, overview, entry.bytes, stream_.threads())});
    }
  }
  save.rest_synced = std::async(std::launch::async, [this, &save, overview] {
    const TimedPart timed(save.times.sync);
    files_.sync(overview);
    write_manifest(save);
    files_.sync(save.folder);
  });
}

void CheckpointWriter::write_manifest(const Save& save) {
  const std::string text = manifest_text(save.manifest);
  const ManifestLimits limits = manifest_limits(files_.list(save.folder));
  require(std::ssize(text) <= limits.bytes, Kind::invalid_argument,
          "{}: expected a configuration and a state of at most 8 MiB together: found a manifest of "
          "{} bytes, where {} can be read",
          save.folder, text.size(), limits.bytes);
  // What could not be loaded is not saved.
  try {
    parse_manifest(text, save.folder + "/" + kManifestName, limits.values);
  } catch (const Error& error) {
    fail(Kind::invalid_argument,
         "{}: expected a configuration and a state that can be read again, of at most {} values: "
         "{}; a pattern names many files as one",
         save.folder, limits.values, error.text());
  }
  files_.write_new(save.folder + "/" + kManifestName, text);
}

/// All files are on the disk: the checkpoint gets its name.
void CheckpointWriter::commit(Save& save) {
  const TimedPart timed(save.times.sync);
  const std::string path = folder_ + "/" + step_name(save.manifest.step);
  if (files_.exists(path)) {
    files_.exchange(save.folder, path);
  } else {
    files_.rename(save.folder, path);
  }
  files_.sync(folder_);
}

/// Removes something; what cannot be removed is told, and the save goes on.
void CheckpointWriter::attempt(const std::function<void()>& remove) {
  try {
    remove();
  } catch (const Error& error) {
    not_removed_ += (not_removed_.empty() ? "" : "; ") + error.text();
  }
}

/// The new checkpoint is committed, so nothing here may fail the save.
void CheckpointWriter::retain(const Save& save) {
  // Where the save has replaced a checkpoint of its step, that one lies here now.
  attempt([&] { files_.remove_tree(save.folder); });
  std::vector<std::int64_t> steps;
  attempt([&] { steps = committed_steps(files_, folder_); });
  const auto count = static_cast<std::int64_t>(steps.size());
  for (std::int64_t i = 0; i < count - std::max<std::int64_t>(save.retention.keep, 1); ++i) {
    const std::int64_t old = steps[static_cast<std::size_t>(i)];
    if (old != save.manifest.step && old != save.retention.pinned) {
      attempt([&] { remove_checkpoint(files_, folder_, old); });
    }
  }
}

}  // namespace keyshard
