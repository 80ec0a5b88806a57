// Bytes of a user's data as a message can show them: one line, in which nothing can steer a
// terminal.
#pragma once

#include <string>
#include <string_view>

namespace keyshard {

/// `bytes` with control characters, and bytes that are no UTF-8, written as \xNN.
std::string printable(std::string_view bytes);

/// The same, cut to 100 characters: three dots then stand for the rest.
std::string shown(std::string_view bytes);

}  // namespace keyshard
