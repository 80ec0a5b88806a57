#include "io/archive_file.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

#include <archive.h>
#include <archive_entry.h>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kShownEntries = 8;
constexpr std::int64_t kTarBlock = 512;

bool is_file(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

std::string_view without_dot(std::string_view name) {
  return name.starts_with("./") ? name.substr(2) : name;
}

/// The name of an entry; empty where libarchive cannot say it.
std::string_view name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname(entry);
  return name == nullptr ? "" : without_dot(name);
}

/// Whether unpacked bytes are those of a tar or zip archive.
bool is_container(std::string_view first) {
  return (first.size() == kTarBlock && first.substr(257, 5) == "ustar") ||
         first.starts_with("PK\x03\x04");
}

/// The first files in an archive, for a message.
std::string entries_of(const std::string& file) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_all(reader.get());
  archive_read_open_filename(reader.get(), file.c_str(), std::size_t{1} << 16);
  archive_entry* entry = nullptr;
  std::vector<std::string> names;
  while (names.size() <= kShownEntries &&
         archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK) {
    if (archive_entry_filetype(entry) != AE_IFDIR) {
      names.push_back(names.size() < kShownEntries ? shown(name_of(entry)) : "...");
    }
  }
  return names.empty() ? "no files" : joined(names, ", ");
}

}  // namespace

ArchivePath archive_path(const std::string& path) {
  const std::size_t first = path.find('!');
  if (first == std::string::npos || is_file(path)) {
    return {path, ""};
  }
  for (std::size_t mark = first; mark != std::string::npos; mark = path.find('!', mark + 1)) {
    if (is_file(path.substr(0, mark))) {
      return {path.substr(0, mark), path.substr(mark + 1)};
    }
  }
  return {path.substr(0, first), path.substr(first + 1)};
}

bool is_archive(const std::string& path) {
  static constexpr std::array<std::string_view, 8> kEndings{".gz",  ".xz",  ".zst", ".bz2",
                                                            ".tar", ".tgz", ".txz", ".zip"};
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return path.ends_with(ending); }) ||
         (path.find('!') != std::string::npos && !is_file(path));
}

struct ArchiveStream::State {
  std::string path;
  archive* reader = archive_read_new();
  bool empty = false;  // unpacks to nothing
  std::string first;   // bytes that were looked at and not given yet

  explicit State(std::string path_) : path(std::move(path_)) {
    require(reader != nullptr, Kind::out_of_memory, "{}: no memory to unpack", path);
  }

  ~State() { archive_read_free(reader); }

  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void open(const std::string& file, bool with_entries) {
    archive_read_support_filter_all(reader);
    if (with_entries) {
      archive_read_support_format_all(reader);
    } else {
      archive_read_support_format_raw(reader);
      archive_read_support_format_empty(reader);
    }
    if (archive_read_open_filename(reader, file.c_str(), std::size_t{1} << 16) != ARCHIVE_OK) {
      refuse("cannot open");
    }
  }

  /// Unpacks up to `most` bytes to the end of `out`.
  void append(std::int64_t most, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + static_cast<std::size_t>(most));
    std::size_t done = before;
    while (done < out.size() && !empty) {
      const la_ssize_t got = archive_read_data(reader, out.data() + done, out.size() - done);
      if (got < 0) {
        refuse("damaged");
      }
      if (got == 0) {
        break;
      }
      done += static_cast<std::size_t>(got);
    }
    out.resize(done);
  }

  void read_first() { append(kTarBlock, first); }

  [[noreturn]] void refuse(const char* what) const {
    const char* reason = archive_error_string(reader);
    fail(Kind::bad_input, "{}: {}: {}", path, what, reason == nullptr ? "unknown reason" : reason);
  }
};

ArchiveStream::ArchiveStream(const std::string& path) : state_(std::make_unique<State>(path)) {
  const auto [file, wanted] = archive_path(path);
  archive* reader = state_->reader;
  state_->open(file, !wanted.empty());
  archive_entry* entry = nullptr;
  int status = archive_read_next_header(reader, &entry);
  while (status == ARCHIVE_OK && !wanted.empty() &&
         (archive_entry_filetype(entry) == AE_IFDIR || name_of(entry) != without_dot(wanted))) {
    status = archive_read_next_header(reader, &entry);
  }
  require(status != ARCHIVE_EOF || wanted.empty(), Kind::bad_input,
          "{}: expected an entry \"{}\" in the archive: found none; it holds {}", file, wanted,
          entries_of(file));
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) {
    state_->refuse("cannot unpack");
  }
  state_->empty = status == ARCHIVE_EOF;
  if (wanted.empty() && !state_->empty) {
    state_->read_first();
    require(
        !is_container(state_->first), Kind::bad_input,
        "{}: expected a compressed file: found an archive; name an entry: {}!ENTRY; it holds {}",
        path, file, entries_of(file));
  }
}

ArchiveStream::~ArchiveStream() = default;

void ArchiveStream::read(std::int64_t most, std::string& out) {
  const std::size_t taken = std::min(state_->first.size(), static_cast<std::size_t>(most));
  out.assign(state_->first, 0, taken);
  state_->first.erase(0, taken);
  state_->append(most - static_cast<std::int64_t>(taken), out);
  check_line(out);
}

/// Each call reads far less than a line may have, so a line that begins and ends in one is short.
void ArchiveStream::check_line(std::string_view bytes) {
  const std::size_t first = bytes.find('\n'), last = bytes.rfind('\n');
  const bool ends = first != std::string_view::npos;
  line_bytes_ += static_cast<std::int64_t>(ends ? first : bytes.size());
  require(line_bytes_ <= kLongestLine, Kind::bad_input,
          "{}: expected text with lines of at most {} bytes: found a longer one", state_->path,
          kLongestLine);
  line_bytes_ = ends ? static_cast<std::int64_t>(bytes.size() - last - 1) : line_bytes_;
}

bool unpack(const std::string& path, std::int64_t limit, Progress& progress, std::string& out) {
  ArchiveStream stream(path);
  out.clear();
  std::string piece;
  for (;;) {
    stream.read(std::int64_t{1} << 20, piece);
    if (piece.empty()) {
      return true;
    }
    if (static_cast<std::int64_t>(out.size() + piece.size()) > limit) {
      out.clear();
      return false;
    }
    out += piece;
    progress.advance();
  }
}

}  // namespace keyshard
