#include "io/manifest_file.hpp"

#include <algorithm>
#include <utility>

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
/// A value takes at most 104 bytes of memory: of so many bytes in the files, one value is allowed.
/// A column of ids has some 70 values; the file of a rank has four datasets of it, each of over 130
/// bytes, and checkpoint.h5 as many links; two groups in each of the two have as much together.
constexpr std::int64_t kBytesOfValue = 12;

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
  limits.values = kValuesOfManifest + all / kBytesOfValue;
  return limits;
}

ManifestText read_manifest_text(FileSystem& files, const std::string& checkpoint) {
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
  std::string text(static_cast<std::size_t>(found->bytes), '\0');
  const std::int64_t got = files.open(name)->read(0, std::as_writable_bytes(Span<char>(text)));
  require(got == found->bytes, Kind::corrupt_data, "{}: expected {} bytes: found {}", name,
          found->bytes, got);
  return {std::move(text), limits.values};
}

Manifest read_manifest(FileSystem& files, const std::string& checkpoint) {
  const ManifestText found = read_manifest_text(files, checkpoint);
  return parse_manifest(found.text, checkpoint + "/" + kManifestName, found.most_values);
}

}  // namespace keyshard
