// The file manifest.json of a checkpoint. What is no plain file, or is larger than the other files
// of the checkpoint allow, is refused before it is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/file_system.hpp"
#include "io/manifest.hpp"

namespace keyshard {

/// How large the manifest of a checkpoint is at most.
struct ManifestLimits {
  std::int64_t bytes = 0;   ///< of its text
  std::int64_t values = 0;  ///< as parse_manifest takes them
};

/// The limits for a checkpoint with these files: 8 MiB and 98,304 values for configuration and
/// state, and as much more as the rows and datasets in the files can need.
ManifestLimits manifest_limits(const std::vector<FileEntry>& files);

/// The manifest of a checkpoint, alone: the other files are not opened, and the text is never whole
/// in memory. Throws Error{corrupt_data} naming the file where there is none, or it is a link, a
/// folder, a pipe, a socket, or larger than `manifest_limits`, and as `parse_manifest` does.
Manifest read_manifest(FileSystem& files, const std::string& checkpoint);

/// Reads the manifest of a checkpoint on rank 0, and gives it to all ranks. Throws as
/// `read_manifest` does, on all ranks.
Manifest read_manifest(FileSystem& files, const std::string& checkpoint,
                       Communicator<Cpu>& communicator);

}  // namespace keyshard
