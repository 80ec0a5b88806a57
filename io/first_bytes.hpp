// What the first bytes of a file say about it: a byte order mark, which is dropped, or that the
// file is no text that a reader of lines can read, which is named with what to do about it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "io/byte_source.hpp"

namespace keyshard {

/// How many bytes at the start of a file decide: `check_first_bytes` wants so many, or all.
inline constexpr std::int64_t kFirstBytes = std::int64_t{1} << 16;

/// The UTF-8 byte order mark.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// The bytes of the UTF-8 byte order mark at the start of a text: 3 or 0. Throws Error{bad_input}
/// with `name`, what the file is and what to do, where the bytes are no text: UTF-16, compressed
/// files, archives, columns and tables of other programs, and lines that end in CR alone.
std::int64_t check_first_bytes(std::string_view first, const std::string& name);

/// The text of a source, without its byte order mark. Throws as check_first_bytes does.
std::unique_ptr<ByteSource> text_of(std::unique_ptr<ByteSource> source);

/// Text in memory, without its byte order mark. Throws as check_first_bytes does.
std::unique_ptr<ByteSource> text_in_memory(const std::string& name, std::string bytes);

}  // namespace keyshard
