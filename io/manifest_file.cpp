#include "io/manifest_file.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBaseBytes = std::int64_t{8} << 20;
/// A shard with rows has 8 bytes of keys at least, and in the manifest, of each column, a digest of
/// 32 letters for 1 byte or more in a file; numbers take less than half as much again.
constexpr std::int64_t kPerByte = 32;
/// checkpoint.h5 has over 45.5 bytes of each dataset, as a link has that names its file, and the
/// manifest at most 1,024 digests.
constexpr std::int64_t kPerByteOfOverview = 900;
/// Of so many bytes in the files one value of memory is allowed. A column of ids has some 90
/// values; the file of a rank has three datasets of it, and with checkpoint.h5 over 3,000 bytes.
constexpr std::int64_t kFileBytesOfValue = 24;

}  // namespace

ManifestLimits manifest_limits(const std::vector<FileEntry>& files) {
  std::int64_t all = 0, overview = 0;
  for (const FileEntry& file : files) {
    if (file.name != kManifestName && file.type == FileType::file) {
      all += file.bytes;
      overview += file.name == kOverviewName ? file.bytes : 0;
    }
  }
  constexpr std::int64_t kLargest = std::int64_t{1} << 40;
  ManifestLimits limits;
  limits.bytes = kBaseBytes + std::min(kPerByte * std::min(all, kLargest),
                                       kPerByteOfOverview * std::min(overview, kLargest));
  limits.values = kValuesOfManifest + all / kFileBytesOfValue;
  return limits;
}

namespace {

/// A manifest that may be read: it is a file, and no larger than its limits.
struct OpenManifest {
  std::string name;
  std::unique_ptr<OpenFile> file;
  std::int64_t bytes = 0;
  std::int64_t most_values = 0;

  void read(std::int64_t offset, Span<char> out) const {
    const std::int64_t got = file->read(offset, std::as_writable_bytes(out));
    require(got == out.size(), Kind::corrupt_data, "{}: expected {} bytes: found {}", name, bytes,
            offset + got);
  }

  Manifest parsed() const {
    const auto read_piece = [this](std::int64_t offset, Span<char> out) { read(offset, out); };
    return parse_manifest(read_piece, bytes, name, most_values);
  }

  std::string text() const {
    std::string whole(static_cast<std::size_t>(bytes), '\0');
    read(0, Span<char>(whole));
    return whole;
  }
};

OpenManifest open_manifest(FileSystem& files, const std::string& checkpoint) {
  const std::string name = checkpoint + "/" + kManifestName;
  const std::vector<FileEntry> entries =
      files.exists(checkpoint) ? files.list(checkpoint) : std::vector<FileEntry>();
  const auto found = std::find_if(entries.begin(), entries.end(), [](const FileEntry& entry) {
    return entry.name == kManifestName;
  });
  require(found != entries.end(), Kind::corrupt_data,
          "{}: expected a committed checkpoint: found no {} in it", checkpoint, kManifestName);
  require(found->type == FileType::file, Kind::corrupt_data,
          "{}: expected a file: found a folder, a symbolic link or something else", name);
  const ManifestLimits limits = manifest_limits(entries);
  require(found->bytes <= limits.bytes, Kind::corrupt_data,
          "{}: expected at most {} bytes, for these files of a checkpoint: found {}", name,
          limits.bytes, found->bytes);
  return {name, files.open(name), found->bytes, limits.values};
}

}  // namespace

Manifest read_manifest(FileSystem& files, const std::string& checkpoint) {
  return open_manifest(files, checkpoint).parsed();
}

Manifest read_manifest(FileSystem& files, const std::string& checkpoint,
                       Communicator<Cpu>& communicator) {
  Manifest manifest;
  std::string text;
  std::int64_t most_values = 0;
  vote(communicator, [&] {
    if (communicator.rank() == 0) {
      const OpenManifest found = open_manifest(files, checkpoint);
      manifest = found.parsed();
      text = communicator.size() > 1 ? found.text() : "";
      most_values = found.most_values;
    }
  });
  text = broadcast_text(communicator, std::move(text));
  communicator.broadcast(std::as_writable_bytes(Span<std::int64_t>(&most_values, 1)), 0);
  vote(communicator, [&] {
    if (communicator.rank() > 0) {
      manifest = parse_manifest(text, checkpoint + "/" + kManifestName, most_values);
    }
  });
  return manifest;
}

}  // namespace keyshard
