#include "io/checkpoint_reader.hpp"

#include <algorithm>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "io/manifest_file.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

SettingValue describe(const ManifestTable& table) {
  const SettingValue columns = list_of(table.shape.columns, [](const ColumnShape& column) {
    return value_of(fmt::format("{} {} x {}", column.name, name_of(column.type), column.width));
  });
  return value_of(SettingValue::Table{{"name", value_of(table.shape.name)},
                                      {"rows", value_of(table.rows_in({0, table.shards}))},
                                      {"columns", columns}});
}

SettingValue describe(const ManifestDense& dense) {
  return value_of(
      fmt::format("{} {} [{}]", dense.name, name_of(dense.type), joined(dense.shape, ", ")));
}

SettingValue describe_all(const auto& parts) {
  return list_of(parts, [](const auto& part) { return describe(part); });
}

Range intersection(Range a, Range b) {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

}  // namespace

CheckpointReader::CheckpointReader(FileSystem& files, std::string path,
                                   Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                   FileCheck check)
    : files_(files),
      path_(std::move(path)),
      communicator_(communicator),
      stream_(stream),
      check_(check) {
  const InPhase phase(communicator_.progress(), Phase::loading);
  const TimedPart timed(times_.total);
  manifest_ = read_manifest(files_, path_, communicator_);
  vote(communicator_, [&] {
    check_ = manifest_.format < kPlacedFormat ? FileCheck::before : check_;
    for (std::size_t t = 0; t < manifest_.tables.size(); ++t) {
      table_numbers_.emplace(manifest_.tables[t].shape.name, t);  // the first of a name
    }
    if (communicator_.rank() == 0) {
      check_file_set();
    }
    check_own_files();
  });
}

void CheckpointReader::check_file_set() {
  const std::string name = path_.substr(path_.find_last_of('/') + 1);
  const auto step = step_of(name);
  require(!step || *step == manifest_.step, Kind::corrupt_data,
          "{}: expected a checkpoint of step {}: found step {} in its manifest", path_,
          step.value_or(0), manifest_.step);
  std::size_t known = 0;
  for (const FileEntry& entry : files_.list(path_)) {
    const std::string place = path_ + "/" + entry.name;
    require(entry.type == FileType::file, Kind::corrupt_data,
            "{}: expected a file: found a folder or a symbolic link", place);
    if (entry.name == kManifestName) {
      continue;
    }
    const auto file = std::find_if(manifest_.files.begin(), manifest_.files.end(),
                                   [&](const ManifestFile& f) { return f.name == entry.name; });
    require(file != manifest_.files.end(), Kind::corrupt_data,
            "{}: expected only files of this checkpoint: found a foreign one", place);
    require(file->bytes == entry.bytes, Kind::corrupt_data, "{}: expected {} bytes: found {}",
            place, file->bytes, entry.bytes);
    ++known;
  }
  if (known < manifest_.files.size()) {
    for (const ManifestFile& file : manifest_.files) {
      const std::string place = path_ + "/" + file.name;
      require(files_.exists(place), Kind::corrupt_data, "{}: expected this file: found none",
              place);
    }
  }
}

void CheckpointReader::check_own_files() {
  const TimedPart timed(times_.verify);
  const auto ranks = static_cast<std::size_t>(communicator_.size());
  for (auto i = static_cast<std::size_t>(communicator_.rank()); i < manifest_.files.size();
       i += ranks) {
    const ManifestFile& file = manifest_.files[i];
    times_.bytes += file.bytes;
    if (check_ == FileCheck::as_read && file.rest && file.name != kOverviewName) {
      check_rest(file);
    } else {
      check_file(file);
    }
  }
}

/// Checks all bytes of a file.
void CheckpointReader::check_file(const ManifestFile& file) {
  const std::string place = path_ + "/" + file.name;
  Progress& progress = communicator_.progress();
  const Digest128 found =
      file_digest(files_, place, file.bytes, stream_.threads(), [&] { progress.advance(); });
  require(found == file.digest, Kind::corrupt_data, "{}: expected the digest {}: found {}", place,
          file.digest.hex(), found.hex());
}

/// Checks the bytes of the file of a rank that belong to no dataset.
void CheckpointReader::check_rest(const ManifestFile& file) {
  const std::string place = path_ + "/" + file.name;
  const std::int64_t rank = std::stoll(file.name.substr(std::string_view("rank-").size()));
  const Digest128 found =
      rest_digest(files_, place, pieces_of(manifest_, file, rank, path_).rest());
  if (found != *file.rest) {
    check_file(file);  // says what is wrong where the file is damaged
    fail(Kind::corrupt_data, "{}: expected the digest {} of the bytes in no dataset: found {}",
         place, file.rest->hex(), found.hex());
  }
}

/// Reads from the file of a rank. Where what was read is refused and the whole file had not been
/// checked, a damaged file is named as such.
template <class Read>
void CheckpointReader::read_checked(std::int64_t writer, const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    if (check_ == FileCheck::as_read && error.kind() == Kind::corrupt_data) {
      const std::string name = rank_file_name(writer, manifest_.ranks);
      check_file(*std::find_if(manifest_.files.begin(), manifest_.files.end(),
                               [&](const ManifestFile& file) { return file.name == name; }));
    }
    throw;
  }
}

std::string CheckpointReader::path_of(std::int64_t writer) const {
  return path_ + "/" + rank_file_name(writer, manifest_.ranks);
}

/// The table of that name, found in a time that does not grow with the number of tables.
const ManifestTable& CheckpointReader::table_of(const std::string& name) const {
  const auto found = table_numbers_.find(name);
  return found == table_numbers_.end() ? manifest_.table(name, path_)  // throws
                                       : manifest_.tables[found->second];
}

void CheckpointReader::read_shards(const ManifestTable& table, Range shards,
                                   const ShardSink& take) {
  const ShardOwners writers = table.writers(manifest_.ranks);
  for (std::int64_t run = 0; run < writers.runs(); ++run) {
    const std::int64_t writer = writers.rank_of_run(run);
    const Range held = writers.shards_of_run(run);
    const Range wanted = intersection(held, shards);
    if (wanted.begin < wanted.end && table.rows_in(wanted) > 0) {
      std::vector<std::int64_t> found;
      if (manifest_.format < kPlacedFormat) {
        found = find_offsets(path_of(writer), table, held);
      }
      read_checked(writer, [&] {
        keyshard::read_table(
            {files_, stream_, communicator_.progress(), times_},
            open_rank_file(files_, path_of(writer)), table,
            {held, wanted,
             found.empty() ? table.offsets_of(writer) : Span<const std::int64_t>(found)},
            take);
      });
    }
  }
}

void CheckpointReader::read_table(const std::string& name, Range shards, const ShardSink& take) {
  const InPhase phase(communicator_.progress(), Phase::loading);
  const TimedPart timed(times_.total);
  vote(communicator_, [&] { read_shards(table_of(name), shards, take); });
}

void CheckpointReader::read_table(const std::string& name, const ShardSink& take) {
  const InPhase phase(communicator_.progress(), Phase::loading);
  const TimedPart timed(times_.total);
  vote(communicator_, [&] {
    const ManifestTable& table = table_of(name);
    read_shards(table, run_of(communicator_.rank(), communicator_.size(), table.shards), take);
  });
}

std::vector<std::byte> CheckpointReader::read_dense(const std::string& name) {
  const InPhase phase(communicator_.progress(), Phase::loading);
  const TimedPart timed(times_.total);
  std::vector<std::byte> bytes;
  vote(communicator_, [&] {
    const auto dense = std::find_if(manifest_.dense.begin(), manifest_.dense.end(),
                                    [&](const ManifestDense& d) { return d.name == name; });
    require(dense != manifest_.dense.end(), Kind::corrupt_data,
            "{}: expected a dense part {}: found none", path_, name);
    read_checked(0, [&] {
      bytes = keyshard::read_dense(
          open_rank_file(files_, path_of(0)), *dense,
          manifest_.format < kPlacedFormat ? find_offset(path_of(0), *dense) : dense->offset);
    });
  });
  return bytes;
}

void CheckpointReader::verify() {
  for (const ManifestTable& table : manifest_.tables) {
    read_table(table.shape.name, [](auto, auto, auto&) {});
  }
  for (const ManifestDense& dense : manifest_.dense) {
    read_dense(dense.name);
  }
}

SettingValue CheckpointReader::description() const {
  std::int64_t bytes = 0;
  for (const ManifestFile& file : manifest_.files) {
    bytes += file.bytes;
  }
  return value_of(SettingValue::Table{{"path", value_of(path_)},
                                      {"step", value_of(manifest_.step)},
                                      {"ranks", value_of(manifest_.ranks)},
                                      {"bytes", value_of(bytes)},
                                      {"state_digest", value_of(state_digest().hex())},
                                      {"tables", describe_all(manifest_.tables)},
                                      {"dense", describe_all(manifest_.dense)},
                                      {"config", manifest_.config}});
}

}  // namespace keyshard
