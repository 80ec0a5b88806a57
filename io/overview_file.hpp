// checkpoint.h5: the files of all ranks as one, for other programs.
#pragma once

#include <string>

#include "io/manifest.hpp"

namespace keyshard {

/// Writes the file beside those of the ranks. Throws Error{io}.
void write_overview(const std::string& path, const Manifest& manifest);

}  // namespace keyshard
