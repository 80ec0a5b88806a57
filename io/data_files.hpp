// The files of a split, from the words of a configuration: a path, a pattern, a folder of parts,
// or an entry of an archive. A file that exists under the whole word is that file, whatever
// characters its name has; the folder of the configuration is never part of a pattern.
#pragma once

#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

/// The files of a split, in the order of the words; those of a pattern or folder sorted by name.
struct DataFiles {
  std::vector<std::string> files;
  /// Left out of a pattern or folder: names that begin with a dot, and the markers that other
  /// programs leave (names that begin with "_" and have no ending, as "_SUCCESS").
  std::vector<std::string> markers;
};

/// Reads the list under `key`; relative paths are taken from `folder`. A word that leads to no file
/// is a problem of the setting.
DataFiles read_data_files(Settings& settings, const char* key, const std::string& folder);

/// The first names of a list, for a message: "a, b, c and 5 more".
std::string some_of(const std::vector<std::string>& names);

/// A line about the markers that were left out of a split; empty where there are none.
std::string note_of_markers(const DataOptions& options, Split split);

}  // namespace keyshard
