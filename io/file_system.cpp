#include "io/file_system.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBlock = std::int64_t{4} << 20;

/// Throws with the system's reason unless the call went well; passes its result on.
template <class Result>
Result succeeded(Result result, const char* action, const std::string& path) {
  const int reason = errno;
  require(result >= 0, Kind::io, "{}: cannot {}: {}", path, action, std::strerror(reason));
  return result;
}

/// A file descriptor.
class OwnedDescriptor {
 public:
  OwnedDescriptor(const std::string& path, int flags, const char* action)
      : number_(
            succeeded(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0666), action, path)) {}

  ~OwnedDescriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }

  OwnedDescriptor(const OwnedDescriptor&) = delete;
  OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;

  int number() const noexcept { return number_; }

  int release() noexcept { return std::exchange(number_, -1); }

  int close() noexcept { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

class LocalFile final : public OpenFile {
 public:
  explicit LocalFile(const std::string& path)
      : path_(path), file_(path, O_RDONLY | O_NONBLOCK, "open") {}

  std::int64_t read(std::int64_t offset, Span<std::byte> out) const override {
    std::int64_t done = 0;
    while (done < out.size()) {
      const ssize_t got = ::pread(file_.number(), out.data() + done,
                                  static_cast<std::size_t>(out.size() - done), offset + done);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (succeeded(got, "read", path_) == 0) {
        break;
      }
      done += got;
    }
    return done;
  }

 private:
  std::string path_;
  OwnedDescriptor file_;
};

/// Nothing where the name has gone since the folder was read.
std::optional<FileEntry> entry_of(const std::string& folder, const std::string& name) {
  struct stat status {};

  const std::string path = folder + "/" + name;
  if (::lstat(path.c_str(), &status) != 0) {
    succeeded(errno == ENOENT ? 0 : -1, "look at", path);
    return std::nullopt;
  }
  const FileType type = S_ISREG(status.st_mode)   ? FileType::file
                        : S_ISDIR(status.st_mode) ? FileType::folder
                                                  : FileType::other;
  return FileEntry{name, type,
                   type == FileType::file ? static_cast<std::int64_t>(status.st_size) : 0};
}

void rename_with(const std::string& from, const std::string& to, unsigned flags) {
  succeeded(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags), "rename",
            from + " to " + to);
}

void write_all(int file, const std::string& path, const std::string& content) {
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t wrote = ::write(file, content.data() + done, content.size() - done);
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    done += static_cast<std::size_t>(succeeded(wrote, "write", path));
  }
}

}  // namespace

void LocalFileSystem::make_folders(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error, Kind::io, "{}: cannot make the folder: {}", path, error.message());
}

void LocalFileSystem::make_folder(const std::string& path) {
  succeeded(::mkdir(path.c_str(), 0777), "make the folder", path);
}

std::vector<FileEntry> LocalFileSystem::list(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), ::closedir);
  succeeded(directory ? 0 : -1, "list the folder", folder);
  std::vector<FileEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(directory.get());
    if (found == nullptr) {
      succeeded(errno == 0 ? 0 : -1, "list the folder", folder);
      break;
    }
    const std::string name = found->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    if (auto entry = entry_of(folder, name)) {
      entries.push_back(std::move(*entry));
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  return entries;
}

bool LocalFileSystem::exists(const std::string& path) {
  struct stat status {};

  if (::lstat(path.c_str(), &status) == 0) {
    return true;
  }
  succeeded(errno == ENOENT ? 0 : -1, "look at", path);
  return false;
}

void LocalFileSystem::rename(const std::string& from, const std::string& to) {
  require(!exists(to), Kind::io, "{}: cannot rename {} to it: it exists", to, from);
  rename_with(from, to, 0);
}

void LocalFileSystem::exchange(const std::string& one, const std::string& other) {
  rename_with(one, other, RENAME_EXCHANGE);
}

void LocalFileSystem::remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  require(!error, Kind::io, "{}: cannot remove: {}", path, error.message());
}

void LocalFileSystem::start_sync(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file >= 0) {
    ::sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE);
    ::close(file);
  }
}

void LocalFileSystem::sync(const std::string& path) {
  OwnedDescriptor file(path, O_RDONLY, "open");
  succeeded(::fsync(file.number()), "sync", path);
  succeeded(file.close(), "close", path);
}

void LocalFileSystem::write_new(const std::string& path, const std::string& content) {
  OwnedDescriptor file(path, O_WRONLY | O_CREAT | O_EXCL, "create");
  write_all(file.number(), path, content);
  succeeded(::fsync(file.number()), "sync", path);
  succeeded(file.close(), "close", path);
}

std::unique_ptr<OpenFile> LocalFileSystem::open(const std::string& path) {
  return std::make_unique<LocalFile>(path);
}

std::string read_text(FileSystem& files, const std::string& path, std::int64_t limit) {
  const std::unique_ptr<OpenFile> file = files.open(path);
  std::string text;
  for (std::int64_t step = 1 << 16;; step *= 2) {
    const auto before = static_cast<std::int64_t>(text.size());
    require(before <= limit, Kind::corrupt_data, "{}: expected at most {} bytes: found more", path,
            limit);
    text.resize(static_cast<std::size_t>(before + step));
    const std::int64_t got =
        file->read(before, std::as_writable_bytes(Span<char>(text).subspan(before)));
    text.resize(static_cast<std::size_t>(before + got));
    if (got < step) {
      return text;
    }
  }
}

Digest128 file_digest(FileSystem& files, const std::string& path, std::int64_t bytes,
                      ThreadPool& threads, const std::function<void()>& advance) {
  const std::int64_t blocks =
      bytes / kBlock + 1;  // the last may be empty; it sees what lies behind
  std::vector<Digest128> digests(static_cast<std::size_t>(blocks));
  std::vector<std::vector<std::byte>> room(static_cast<std::size_t>(threads.size()));
  const std::unique_ptr<OpenFile> file = files.open(path);
  threads.for_tasks(blocks, [&](std::int64_t block, int thread) {
    std::vector<std::byte>& out = room[static_cast<std::size_t>(thread)];
    const std::int64_t expected = std::min(kBlock, bytes - block * kBlock);
    const std::int64_t asked = block + 1 == blocks ? expected + 1 : expected;
    out.resize(static_cast<std::size_t>(std::min(kBlock, bytes) + 1));
    const std::int64_t got = file->read(block * kBlock, Span<std::byte>(out).first(asked));
    require(got == expected, Kind::corrupt_data,
            "{}: expected {} bytes: found {} in block {}, where {} were expected", path, bytes, got,
            block, expected);
    digests[static_cast<std::size_t>(block)] =
        digest_of(out.data(), static_cast<std::size_t>(expected));
    if (advance) {
      advance();
    }
  });
  return digest_of(digests.data(), digests.size() * sizeof(Digest128));
}

FolderLock::FolderLock(const std::string& folder) {
  const std::string path = folder + "/.lock";
  OwnedDescriptor file(path, O_RDWR | O_CREAT, "open the lock");
  if (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    char owner[64] = {};
    const ssize_t got = ::pread(file.number(), owner, sizeof owner - 1, 0);
    require(reason != EWOULDBLOCK, Kind::io,
            "{}: expected a folder that no other job uses: found it locked by process {}", folder,
            got > 0 ? owner : "of unknown number");
    // Some network file systems have no locks, or none on this host.
    const bool absent = reason == ENOSYS || reason == ENOLCK || reason == EOPNOTSUPP;
    require(absent, Kind::io, "{}: cannot lock: {}", path, std::strerror(reason));
    missing_ = fmt::format("{}: cannot lock: {}", path, std::strerror(reason));
  }
  succeeded(::ftruncate(file.number(), 0), "write", path);
  write_all(file.number(), path, fmt::format("{}", ::getpid()));
  file_ = file.release();
}

FolderLock::~FolderLock() { ::close(file_); }

}  // namespace keyshard
