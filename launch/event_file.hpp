// Reports for TensorBoard: a file of events as TensorFlow writes them. Records are framed as in
// TFRecord (length and data, each with a masked CRC32C), events are protocol buffers
// (tensorflow/core/util/event.proto, framework/summary.proto), written by hand. A file is of one
// run; a later run of the job adds a file.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keyshard {

/// CRC32C (Castagnoli, RFC 3720) of some bytes.
std::uint32_t crc32c(std::string_view bytes);

class EventFile {
 public:
  /// Makes a new file in `folder`, whose name sorts behind those of earlier runs. What earlier
  /// files say of steps from `next_step` on counts no more: TensorBoard drops it, as after a resume
  /// from an earlier checkpoint. Throws Error{io}.
  EventFile(const std::string& folder, std::int64_t next_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  /// Adds an event with numbers by their names, at this time, and flushes the file. Numbers that
  /// are undefined (NaN) are left out. Whether all was written.
  bool add(std::int64_t step, const std::string& prefix,
           const std::vector<std::pair<std::string, double>>& numbers);

  const std::string& name() const noexcept { return name_; }

 private:
  bool write(const std::string& event);

  std::string name_;  // without its folder
  std::FILE* file_ = nullptr;
};

/// Removes the files of earlier runs. Throws Error{io}.
void remove_event_files(const std::string& folder);

}  // namespace keyshard
