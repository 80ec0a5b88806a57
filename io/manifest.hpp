// The content of a checkpoint, as its manifest.json lists it: files, tables, dense parts, and the
// digests of all of them. The text of a manifest ends with its own digest, so a changed text is
// refused before it is parsed. FORMATS.md describes the text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/element_type.hpp"
#include "io/state_digest.hpp"
#include "runtime/digest.hpp"
#include "runtime/runs.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {

/// The version of the format that this version of keyshard writes; it reads version 1 too, whose
/// manifest lists shards without rows. Where a table has owners of its own (ManifestTable::owners)
/// the manifest has version 3, so that a reader that does not know of owners refuses it.
inline constexpr std::int64_t kCheckpointFormat = 2;
inline constexpr std::int64_t kOwnersFormat = 3;

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
};

struct ManifestTable {
  TableShape shape;
  std::vector<std::int64_t> rows;  ///< of each shard [shards]
  std::vector<Digest128> digests;  ///< [shards x (1 + columns)], the keys first
  /// The ranks that wrote the runs of shards, as ShardOwners takes them.
  std::vector<std::int64_t> owners = {};

  std::int64_t shards() const { return static_cast<std::int64_t>(rows.size()); }

  /// Rows of a range of shards.
  std::int64_t rows_in(Range shards) const;
  /// Digests of a shard [1 + columns].
  const Digest128* digests_of(std::int64_t shard) const;
};

struct ManifestDense {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;
  Digest128 digest;

  std::int64_t bytes() const;
};

struct Manifest {
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
/// Bytes that a manifest may have.
inline constexpr std::int64_t kManifestLimit = std::int64_t{1} << 30;
/// "rank-0003-of-0008.h5".
std::string rank_file_name(std::int64_t rank, std::int64_t ranks);

std::string manifest_text(const Manifest& manifest);

/// Throws Error{corrupt_data} with `place` where the text is not as manifest_text made it, is of
/// another format, or contradicts itself.
Manifest parse_manifest(const std::string& text, const std::string& place);

}  // namespace keyshard
