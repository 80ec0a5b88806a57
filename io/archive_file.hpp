// Compressed files through libarchive: .gz, .xz, .zst, .bz2, and entries of archives (tar, zip),
// written `archive.tar.xz!entry`.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/progress.hpp"

namespace keyshard {

/// A path as it is meant: a file, and where it is an archive of which one entry is named, the
/// entry. A file that exists under the whole path has no entry; else the part before the first '!'
/// that is a file is the archive.
struct ArchivePath {
  std::string file;
  std::string entry;  ///< empty: none
};

ArchivePath archive_path(const std::string& path);

/// Whether a path names a compressed file or an entry of an archive.
bool is_archive(const std::string& path);

/// The most bytes of a line of a compressed file.
inline constexpr std::int64_t kLongestLine = std::int64_t{64} << 20;

/// The bytes of a compressed file, one after another.
class ArchiveStream {
 public:
  /// Throws Error{bad_input} with the path when the file cannot be opened, when it has no such
  /// entry, and when it is a tar or zip archive and no entry is named; then the message lists the
  /// first entries.
  explicit ArchiveStream(const std::string& path);
  ~ArchiveStream();
  ArchiveStream(const ArchiveStream&) = delete;
  ArchiveStream& operator=(const ArchiveStream&) = delete;

  /// Replaces `out` by the next bytes, at most `most`; empty at the end. Throws Error{bad_input}
  /// where the file is damaged, and where a line has more than kLongestLine bytes: a few bytes may
  /// unpack to any number.
  void read(std::int64_t most, std::string& out);

 private:
  void check_line(std::string_view bytes);

  struct State;
  std::unique_ptr<State> state_;
  std::int64_t line_bytes_ = 0;  // of the line at the end of what was read
};

/// Unpacks a whole compressed file into `out` and returns true, or returns false where the file
/// unpacks to more than `limit` bytes. Advances `progress`.
bool unpack(const std::string& path, std::int64_t limit, Progress& progress, std::string& out);

}  // namespace keyshard
