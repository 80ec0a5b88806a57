// The file manifest.json of a checkpoint. What is no plain file, or is larger than the other files
// of the checkpoint allow, is refused before it is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/manifest.hpp"

namespace keyshard {

/// The most bytes that the manifest of a checkpoint with these files has: 16 MiB for configuration
/// and state, and as much more as the rows and datasets in the files can need.
std::int64_t manifest_limit(const std::vector<FileEntry>& files);

/// The text of the manifest of a checkpoint. Throws Error{corrupt_data} naming the file where there
/// is none, or it is a link, a folder, a pipe, a socket, or larger than `manifest_limit`.
std::string read_manifest_text(FileSystem& files, const std::string& checkpoint);

/// The manifest of a checkpoint, alone: the other files are not opened. Throws Error{corrupt_data}
/// as `read_manifest_text` and `parse_manifest` do.
Manifest read_manifest(FileSystem& files, const std::string& checkpoint);

}  // namespace keyshard
