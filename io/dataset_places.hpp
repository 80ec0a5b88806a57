// Where the datasets of a checkpoint lie in the files of its ranks, as the manifest says it: each
// whole inside its file, and no two on the same bytes. So a load can read rows without HDF5.
#pragma once

#include <string>

#include "io/manifest.hpp"

namespace keyshard {

/// Throws Error{corrupt_data} with `place`, file and dataset where a dataset of the manifest does
/// not lie whole in its file (by the size of the file that the manifest gives) or shares bytes with
/// another one. Checks nothing in formats 1 and 2, which name no places.
void require_places(const Manifest& manifest, const std::string& place);

/// "/tables/NAME/COLUMN": a dataset of a table in a file.
std::string table_dataset(const std::string& table, const std::string& column);
/// "/dense/NAME".
std::string dense_dataset(const std::string& name);

}  // namespace keyshard
