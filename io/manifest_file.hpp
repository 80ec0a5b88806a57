// The file manifest.json of a checkpoint. What is no plain file, or is larger than the other files
// of the checkpoint allow, is refused before it is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/manifest.hpp"

namespace keyshard {

/// How large the manifest of a checkpoint is at most.
struct ManifestLimits {
  std::int64_t bytes = 0;   ///< of its text
  std::int64_t values = 0;  ///< as parse_manifest takes them
};

/// The limits for a checkpoint with these files: 8 MiB and 131,072 values for configuration and
/// state, and as much more as the rows and datasets in the files can need.
ManifestLimits manifest_limits(const std::vector<FileEntry>& files);

/// The manifest of a checkpoint before it is parsed.
struct ManifestText {
  std::string text;
  std::int64_t most_values = 0;
};

/// Reads the text of the manifest of a checkpoint. Throws Error{corrupt_data} naming the file where
/// there is none, or it is a link, a folder, a pipe, a socket, or larger than `manifest_limits`.
ManifestText read_manifest_text(FileSystem& files, const std::string& checkpoint);

/// The manifest of a checkpoint, alone: the other files are not opened. Throws Error{corrupt_data}
/// as `read_manifest_text` and `parse_manifest` do.
Manifest read_manifest(FileSystem& files, const std::string& checkpoint);

}  // namespace keyshard
