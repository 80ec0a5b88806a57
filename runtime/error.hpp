// The one exception type, and `require`, which throws it. A message says what was expected, what
// was found and where, values last. The library never prints, exits or aborts: `launch` alone owns
// the process.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace keyshard {

/// What went wrong, as far as a caller may want to tell cases apart.
enum class Kind {
  invalid_argument,  ///< a caller's mistake or a bad configuration
  bad_input,         ///< data that does not parse or does not fit its description
  out_of_memory,
  communication,  ///< a peer or a transport failed
  device,         ///< a GPU or its driver failed
  io,             ///< a file could not be read or written
  corrupt_data,   ///< a file of ours is damaged, mixed, truncated or foreign
  non_finite,     ///< a loss or a gradient is NaN or infinite
  not_built,      ///< part of the contract, but not of this version
  other_bits,     ///< a run differs from one whose bits it should have
};

class Error : public std::runtime_error {
 public:
  Error(Kind kind, std::string_view text, const char* file, int line);

  Kind kind() const noexcept { return kind_; }

  /// The message without its place in the source, for messages that are about the user's files.
  const std::string& text() const noexcept { return text_; }

 private:
  Kind kind_;
  std::string text_;
};

/// A format string together with the place where it stands. Made implicitly from a string literal.
struct Format {
  Format(const char* text_, const char* file_ = __builtin_FILE(), int line_ = __builtin_LINE())
      : text(text_), file(file_), line(line_) {}

  std::string_view text;
  const char* file;
  int line;
};

/// Throws Error{kind} with the formatted message.
template <class... Args>
[[noreturn]] void fail(Kind kind, Format format, const Args&... args) {
  throw Error(kind, fmt::vformat(format.text, fmt::make_format_args(args...)), format.file,
              format.line);
}

/// Throws Error{kind} with the formatted message unless `condition` holds.
template <class... Args>
void require(bool condition, Kind kind, Format format, const Args&... args) {
  if (!condition) [[unlikely]] {
    fail(kind, format, args...);
  }
}

}  // namespace keyshard
