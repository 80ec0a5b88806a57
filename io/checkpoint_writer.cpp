#include "io/checkpoint_writer.hpp"

#include <algorithm>
#include <future>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "io/manifest_file.hpp"
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
  ManifestDense dense{source.name, source.type, source.shape, 0, {}};
  dense.digest = digest_of(source.values, static_cast<std::size_t>(dense.bytes()));
  return dense;
}

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

/// Joins what the ranks know of the same tables, each of its own shards, in two messages for all
/// tables.
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

/// Writes checkpoint.h5: all rank files as one, for other programs.
void write_overview(const std::string& path, const Manifest& manifest) {
  Hdf5File file = Hdf5File::create(path);
  file.set_integer("/", "step", manifest.step);
  for (const ManifestTable& table : manifest.tables) {
    std::vector<std::int64_t> begins{0};
    for (const std::int64_t rows : table.rows_of({0, table.shards})) {
      begins.push_back(begins.back() + rows);
    }
    const std::string& name = table.shape.name;
    const ShardOwners writers = table.writers(manifest.ranks);
    file.write(table_dataset(name, "shard_begin"), ElementType::i64,
               {static_cast<std::int64_t>(begins.size())}, begins.data());
    file.set_text("/tables/" + hdf5_part(name), "name", name);
    for (const ColumnShape& column : file_columns(table.shape)) {
      std::vector<Hdf5Source> sources;
      for (std::int64_t run = 0; run < writers.runs(); ++run) {
        sources.push_back({rank_file_name(writers.rank_of_run(run), manifest.ranks),
                           table_dataset(name, column.name),
                           table.rows_in(writers.shards_of_run(run))});
      }
      file.create_virtual(table_dataset(name, column.name), column.type,
                          file_shape(column, begins.back()), sources);
    }
  }
  for (const ManifestDense& dense : manifest.dense) {
    const std::string name = dense_dataset(dense.name);
    file.create_virtual(name, dense.type, dense.shape,
                        {{rank_file_name(0, manifest.ranks), name, dense.shape[0]}});
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
        write_table(work, file, table, owners.shards_of(communicator_.rank())));
    manifest.tables.back().owners = owners.list();
  }
  if (communicator_.rank() == 0) {
    for (const DenseSource& dense : save.content.dense) {
      manifest.dense.push_back(manifest_of(dense));
      manifest.dense.back().offset =
          file.write(dense_dataset(dense.name), dense.type, dense.shape, dense.values);
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
  const RankFile file = open_rank_file(files_, path);
  for (const ManifestTable& table : save.manifest.tables) {
    const Range all{0, table.shards};
    read_table({files_, stream_, progress, save.times}, file, table,
               {all, all, table.offsets_of(0)}, [](auto, auto, auto&) {});
  }
  for (const ManifestDense& dense : save.manifest.dense) {
    read_dense(file, dense, dense.offset);
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
  gather_tables(manifest, save.content.shards, communicator_);
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
  const std::string text = manifest_text(save.manifest);
  const std::int64_t limit = manifest_limit(files_.list(save.folder));
  require(
      std::ssize(text) <= limit, Kind::invalid_argument,
      "{}: expected a configuration and a state of at most 16 MiB together: found a manifest of "
      "{} bytes, where {} can be read",
      save.folder, text.size(), limit);
  parse_manifest(text, save.folder + "/" + kManifestName);  // what could not be loaded is not saved
  files_.write_new(save.folder + "/" + kManifestName, text);
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
