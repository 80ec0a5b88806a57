// Text that is shown to a user and may hold bytes of files.
#pragma once

#include <string>
#include <string_view>

namespace keyshard {

/// A line in which nothing can steer a terminal: control characters, and bytes that are no UTF-8,
/// are written as \xNN.
std::string printable(std::string_view line);

}  // namespace keyshard
