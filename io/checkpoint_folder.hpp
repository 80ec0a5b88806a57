// The folder of a job's checkpoints: `step-000123/` is a committed checkpoint, a name `step-...`
// with `.tmp-` in it is debris of a save that did not end. Nothing in a committed checkpoint is
// ever opened for writing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"
#include "io/file_system.hpp"

namespace keyshard {

/// "step-000123".
std::string step_name(std::int64_t step);

/// The step of a committed checkpoint's name; nothing for any other name.
std::optional<std::int64_t> step_of(const std::string& name);

/// The steps of all committed checkpoints, ascending; none where there is no folder. Throws
/// Error{corrupt_data} where such a name is not a folder.
std::vector<std::int64_t> committed_steps(FileSystem& files, const std::string& folder);

/// The path of the newest committed checkpoint; empty where there is none. Rank 0 looks into the
/// folder and tells the others. Collective.
std::string latest_checkpoint(FileSystem& files, const std::string& folder,
                              Communicator<Cpu>& communicator);

/// Removes what saves and calls of require_same_folder have left that did not end.
void remove_debris(FileSystem& files, const std::string& folder);

/// Removes a committed checkpoint. No part of the checkpoint is ever seen without the rest.
void remove_checkpoint(FileSystem& files, const std::string& folder, std::int64_t step);

/// Makes the folder, removes debris in it, and tries there what a save does: makes a file and a
/// folder, renames, syncs and removes. Throws Error{io} naming the folder where one of these fails,
/// or where a rank sees another folder of that name than rank 0. Collective.
void require_same_folder(FileSystem& files, const std::string& folder,
                         Communicator<Cpu>& communicator);

/// A name that no other process has used. Rank 0 chooses it for all ranks. Collective.
std::string unique_suffix(Communicator<Cpu>& communicator);

}  // namespace keyshard
