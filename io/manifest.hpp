// The content of a checkpoint, as its manifest.json lists it: files, tables, dense parts, where
// they lie in the files, and the digests of all of them. The text of a manifest ends with its own
// digest, so a changed text is refused before it is parsed. FORMATS.md describes the text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/element_type.hpp"
#include "io/state_digest.hpp"
#include "runtime/digest.hpp"
#include "runtime/setting_value.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {

/// The version of the format that this version of keyshard writes. It reads version 3 too, whose
/// files list shards without rows, version 2, whose manifest does not say where datasets lie and
/// knows no owners, and version 1, whose manifest lists shards without rows besides.
inline constexpr std::int64_t kCheckpointFormat = 4;
/// The first format that says where datasets lie.
inline constexpr std::int64_t kPlacedFormat = 3;

/// A column of the rows of a table: `width` elements of a row.
struct ColumnShape {
  std::string name;  ///< parts joined by '/', as "values/v"
  ElementType type = ElementType::f32;
  std::int64_t width = 1;

  bool operator==(const ColumnShape&) const = default;
};

/// A table: its columns without the keys, and options, which this folder only stores and returns.
struct TableShape {
  std::string name;
  std::vector<ColumnShape> columns;
  SettingValue options;
};

struct ManifestFile {
  std::string name;
  std::int64_t bytes = 0;
  Digest128 digest;  ///< file_digest
  /// Of the bytes that belong to no dataset (rest_digest). checkpoint.h5 has none, nor have files
  /// of earlier versions.
  std::optional<Digest128> rest = {};
};

/// Shards without rows are left out: a table of thousands costs what its rows cost.
struct ManifestTable {
  TableShape shape;
  std::int64_t shards = 0;           ///< their number, with those without rows
  std::vector<std::int64_t> filled;  ///< the shards that have rows, ascending
  std::vector<std::int64_t> rows;    ///< of each of these
  std::vector<Digest128> digests;    ///< [filled x (1 + columns)], the keys first
  /// The byte of its rank's file at which each dataset begins [ranks x (1 + columns)], the keys
  /// first; 0 for a dataset without bytes. Empty in formats 1 and 2: HDF5 knows it.
  std::vector<std::int64_t> offsets;
  /// The ranks that wrote the runs of shards, as ShardOwners takes them; none before format 3.
  std::vector<std::int64_t> owners = {};

  /// Which of so many ranks wrote which shards.
  ShardOwners writers(std::int64_t ranks) const { return {ranks, shards, owners}; }

  /// Rows of a range of shards.
  std::int64_t rows_in(Range range) const;
  /// Rows of each shard of a range.
  std::vector<std::int64_t> rows_of(Range range) const;
  /// Digests of a shard that has rows [1 + columns].
  const Digest128* digests_of(std::int64_t shard) const;
  /// Where the datasets of the file of a rank begin [1 + columns]; empty in formats 1 and 2.
  Span<const std::int64_t> offsets_of(std::int64_t rank) const;
};

struct ManifestDense {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  ///< in the file of rank 0
  Digest128 digest;

  std::int64_t bytes() const;
};

struct Manifest {
  std::int64_t format = kCheckpointFormat;
  std::int64_t step = 0;
  std::int64_t ranks = 1;  ///< that wrote the checkpoint; rank r wrote rank_file_name(r, ranks)
  SettingValue config;
  SettingValue state;
  std::vector<ManifestTable> tables;
  std::vector<ManifestDense> dense;
  std::vector<ManifestFile> files;  ///< all but the manifest

  /// The table of that name. Throws Error{corrupt_data} with `place`.
  const ManifestTable& table(const std::string& name, const std::string& place) const;

  Digest128 state_digest() const;
};

/// Names of files of a checkpoint.
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kOverviewName = "checkpoint.h5";
/// "rank-0003-of-0008.h5".
std::string rank_file_name(std::int64_t rank, std::int64_t ranks);

std::string manifest_text(const Manifest& manifest);

/// Values that the configuration, the state and the tables of a checkpoint with small files have at
/// most.
inline constexpr std::int64_t kValuesOfManifest = std::int64_t{3} << 15;

/// Reads the bytes of a text from `offset` on into `out`: all that `out` holds.
using ReadText = std::function<void(std::int64_t offset, Span<char> out)>;

/// Throws Error{corrupt_data} with `place` where the text is not as manifest_text made it, is of
/// another format, or contradicts itself: a dataset that does not lie whole in its file, or shares
/// bytes with another one, is named with its file. Refuses a text that would need more than about
/// `most_values` values in memory at once (JsonParts), before they are there. The text of `bytes`
/// bytes is read twice, first for its digest, and never whole.
Manifest parse_manifest(const ReadText& read, std::int64_t bytes, const std::string& place,
                        std::int64_t most_values = kValuesOfManifest);
/// The same of a text in memory.
Manifest parse_manifest(const std::string& text, const std::string& place,
                        std::int64_t most_values = kValuesOfManifest);

}  // namespace keyshard
