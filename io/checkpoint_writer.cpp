#include "io/checkpoint_writer.hpp"

#include <algorithm>
#include <future>

#include "collectives/gather_shards.hpp"
#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "io/shard_batch.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// One save under way on this rank.
struct CheckpointWriter::Save {
  const CheckpointContent& content;
  std::string folder;  // temporary
  Manifest manifest;   // of what this rank has written; after `gather`, of what all have
  CheckpointTimes times;
};

namespace {

ManifestDense manifest_of(const DenseSource& source) {
  ManifestDense dense{source.name, source.type, source.shape, {}};
  dense.digest = digest_of(source.values, static_cast<std::size_t>(dense.bytes()));
  return dense;
}

/// Writes checkpoint.h5: all rank files as one, for other programs.
void write_overview(const std::string& path, const Manifest& manifest) {
  Hdf5File file = Hdf5File::create(path);
  file.set_integer("/", "step", manifest.step);
  for (const ManifestTable& table : manifest.tables) {
    std::vector<std::int64_t> begins{0};
    for (const std::int64_t rows : table.rows) {
      begins.push_back(begins.back() + rows);
    }
    const std::string& name = table.shape.name;
    const ShardOwners owners(manifest.ranks, table.shards(), table.owners);
    file.write(table_dataset(name, "shard_begin"), ElementType::i64,
               {static_cast<std::int64_t>(begins.size())}, begins.data());
    file.set_text("/tables/" + hdf5_part(name), "name", name);
    for (const ColumnShape& column : file_columns(table.shape)) {
      std::vector<Hdf5Source> sources;
      for (std::int64_t run = 0; run < owners.runs(); ++run) {
        sources.push_back({rank_file_name(owners.rank_of_run(run), manifest.ranks),
                           table_dataset(name, column.name),
                           table.rows_in(owners.shards_of_run(run))});
      }
      file.create_virtual(table_dataset(name, column.name), column.type,
                          file_shape(column, begins.back()), sources);
    }
  }
  for (const ManifestDense& dense : manifest.dense) {
    file.create_virtual(
        "/dense/" + dense.name, dense.type, dense.shape,
        {{rank_file_name(0, manifest.ranks), "/dense/" + dense.name, dense.shape[0]}});
  }
  file.close();
}

}  // namespace

CheckpointWriter::CheckpointWriter(FileSystem& files, std::string folder,
                                   Communicator<Cpu>& communicator, Stream<Cpu>& stream)
    : files_(files), folder_(std::move(folder)), communicator_(communicator), stream_(stream) {
  require_same_folder(files_, folder_, communicator_);
}

CheckpointTimes CheckpointWriter::save(const CheckpointContent& content,
                                       const Retention& retention) {
  const InPhase phase(communicator_.progress(), Phase::saving);
  Save save{content, begin(content.step), {}, {}};
  {
    const TimedPart timed(save.times.total);
    try {
      vote(communicator_, [&] {
        write_own_file(save);
        sync_and_read_back(save);
      });
      gather(save);
      vote(communicator_, [&] {
        if (communicator_.rank() == 0) {
          commit(save);
        }
      });
    } catch (const Error&) {
      if (communicator_.rank() == 0) {
        try {
          files_.remove_tree(save.folder);
        } catch (const Error&) {
          // The next save removes the folder; the caller learns of the first error alone.
        }
      }
      throw;
    }
    retain(save, retention);
  }
  return save.times;
}

std::string CheckpointWriter::begin(std::int64_t step) {
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

void CheckpointWriter::write_own_file(Save& save) {
  Manifest& manifest = save.manifest;
  manifest.step = save.content.step;
  manifest.ranks = communicator_.size();
  const std::string name = rank_file_name(communicator_.rank(), communicator_.size());
  manifest.files = {{name, 0, {}}};
  Hdf5File file = Hdf5File::create(save.folder + "/" + name);
  file.set_integer("/", "format", kCheckpointFormat);
  file.set_integer("/", "step", manifest.step);
  const RankFileWork work{files_, stream_, communicator_.progress(), save.times};
  for (const TableSource& table : save.content.tables) {
    const ShardOwners owners(manifest.ranks, save.content.shards, table.owners);
    manifest.tables.push_back(
        {table.shape, table.rows,
         write_table(work, file, table, owners.shards_of(communicator_.rank())), owners.list()});
  }
  if (communicator_.rank() == 0) {
    for (const DenseSource& dense : save.content.dense) {
      manifest.dense.push_back(manifest_of(dense));
      file.write("/dense/" + dense.name, dense.type, dense.shape, dense.values);
    }
  }
  const TimedPart timed(save.times.write);
  file.close();
}

void CheckpointWriter::sync_and_read_back(Save& save) {
  const std::string path = save.folder + "/" + save.manifest.files[0].name;
  // The file goes to the disk while it is read back from the page cache.
  std::future<void> synced = std::async(std::launch::async, [&] {
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
  const InPhase phase(communicator_.progress(), Phase::syncing);
  synced.get();
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
  const Hdf5File file = Hdf5File::open(path);
  for (const ManifestTable& table : save.manifest.tables) {
    const Range all{0, table.shards()};
    read_table({files_, stream_, progress, save.times}, file, table, all, all,
               [](auto, auto, auto&) {});
  }
  for (const ManifestDense& dense : save.manifest.dense) {
    read_dense(file, dense);
  }
}

void CheckpointWriter::gather(Save& save) {
  Manifest& manifest = save.manifest;

  struct Entry {
    std::int64_t bytes;
    Digest128 digest;
  };

  const std::vector<Entry> entries =
      communicator_.gather_values(Entry{manifest.files[0].bytes, manifest.files[0].digest});
  manifest.files.clear();
  for (std::int64_t rank = 0; rank < manifest.ranks; ++rank) {
    const Entry& entry = entries[static_cast<std::size_t>(rank)];
    manifest.files.push_back({rank_file_name(rank, manifest.ranks), entry.bytes, entry.digest});
  }
  for (ManifestTable& table : manifest.tables) {
    const ShardOwners owners(manifest.ranks, save.content.shards, table.owners);
    table.rows = gather_shards(communicator_, owners, table.rows);
    table.digests =
        gather_shards(communicator_, owners, table.digests, std::ssize(table.shape.columns) + 1);
  }
  manifest.config = save.content.config;
  manifest.state = save.content.state;
}

void CheckpointWriter::commit(Save& save) {
  const InPhase phase(communicator_.progress(), Phase::syncing);
  const std::string overview = save.folder + "/" + kOverviewName;
  write_overview(overview, save.manifest);
  const TimedPart timed(save.times.sync);
  files_.sync(overview);
  for (const FileEntry& entry : files_.list(save.folder)) {
    if (entry.name == kOverviewName) {
      save.manifest.files.push_back(
          {entry.name, entry.bytes, file_digest(files_, overview, entry.bytes, stream_.threads())});
    }
  }
  files_.write_new(save.folder + "/" + kManifestName, manifest_text(save.manifest));
  files_.sync(save.folder);
  const std::string path = folder_ + "/" + step_name(save.content.step);
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
void CheckpointWriter::retain(const Save& save, const Retention& retention) {
  if (communicator_.rank() == 0) {
    // Where the save has replaced a checkpoint of its step, that one lies here now.
    attempt([&] { files_.remove_tree(save.folder); });
    std::vector<std::int64_t> steps;
    attempt([&] { steps = committed_steps(files_, folder_); });
    const auto count = static_cast<std::int64_t>(steps.size());
    for (std::int64_t i = 0; i < count - std::max<std::int64_t>(retention.keep, 1); ++i) {
      const std::int64_t old = steps[static_cast<std::size_t>(i)];
      if (old != save.content.step && old != retention.pinned) {
        attempt([&] { remove_checkpoint(files_, folder_, old); });
      }
    }
  }
  not_removed_ = broadcast_text(communicator_, not_removed_);
}

}  // namespace keyshard
