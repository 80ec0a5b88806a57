#include "io/archive_file.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <archive.h>
#include <archive_entry.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// "a.tar.xz!b" -> {"a.tar.xz", "b"}; no entry: {"path", ""}.
std::pair<std::string, std::string> split_entry(const std::string& path) {
  const std::size_t mark = path.find('!');
  return mark == std::string::npos ? std::pair(path, std::string())
                                   : std::pair(path.substr(0, mark), path.substr(mark + 1));
}

std::string_view without_dot(std::string_view name) {
  return name.starts_with("./") ? name.substr(2) : name;
}

}  // namespace

bool is_archive(const std::string& path) {
  static constexpr std::array<std::string_view, 8> kEndings{".gz",  ".xz",  ".zst", ".bz2",
                                                            ".tar", ".tgz", ".txz", ".zip"};
  return path.find('!') != std::string::npos ||
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return path.ends_with(ending); });
}

struct ArchiveStream::State {
  std::string path;
  archive* reader = archive_read_new();
  bool empty = false;  // unpacks to nothing

  explicit State(std::string path_) : path(std::move(path_)) {
    require(reader != nullptr, Kind::out_of_memory, "{}: no memory to unpack", path);
  }

  ~State() { archive_read_free(reader); }

  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[noreturn]] void refuse(const char* what) const {
    const char* reason = archive_error_string(reader);
    fail(Kind::bad_input, "{}: {}: {}", path, what, reason == nullptr ? "unknown reason" : reason);
  }
};

ArchiveStream::ArchiveStream(const std::string& path) : state_(std::make_unique<State>(path)) {
  const auto [file, wanted] = split_entry(path);
  archive* reader = state_->reader;
  archive_read_support_filter_all(reader);
  if (wanted.empty()) {
    archive_read_support_format_raw(reader);
    archive_read_support_format_empty(reader);
  } else {
    archive_read_support_format_all(reader);
  }
  if (archive_read_open_filename(reader, file.c_str(), std::size_t{1} << 16) != ARCHIVE_OK) {
    state_->refuse("cannot open");
  }
  archive_entry* entry = nullptr;
  int status = archive_read_next_header(reader, &entry);
  while (status == ARCHIVE_OK && !wanted.empty() &&
         without_dot(archive_entry_pathname(entry)) != without_dot(wanted)) {
    status = archive_read_next_header(reader, &entry);
  }
  require(status != ARCHIVE_EOF || wanted.empty(), Kind::bad_input,
          "{}: expected an entry \"{}\" in the archive: found none", file, wanted);
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) {
    state_->refuse("cannot unpack");
  }
  state_->empty = status == ARCHIVE_EOF;
}

ArchiveStream::~ArchiveStream() = default;

void ArchiveStream::read(std::int64_t most, std::string& out) {
  out.resize(static_cast<std::size_t>(most));
  std::int64_t done = 0;
  while (done < most && !state_->empty) {
    const la_ssize_t got =
        archive_read_data(state_->reader, out.data() + done, static_cast<std::size_t>(most - done));
    if (got < 0) {
      state_->refuse("damaged");
    }
    if (got == 0) {
      break;
    }
    done += got;
  }
  out.resize(static_cast<std::size_t>(done));
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
