// What happened in a job and when, for whoever reads it later: lines with time, level and rank in a
// file (the one home of spdlog). A log is an object that is handed on; there is no global one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace keyshard {

enum class LogLevel { info, warning, error };

class Log {
 public:
  /// Writes nowhere.
  Log();
  /// Appends to a file and names `rank` in every line. Throws Error{io}.
  Log(const std::string& path, int rank);
  ~Log();
  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;

  /// Writes a line and flushes it. Thread-safe. A full disk loses lines, never the job; `lost`
  /// counts them.
  void write(LogLevel level, std::string_view text);

  /// Lines that could not be written, whole or in part.
  std::int64_t lost() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keyshard
