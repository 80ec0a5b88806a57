#include "io/byte_source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// A descriptor that is closed at the end of its scope.
class ReadableFile {
 public:
  explicit ReadableFile(const std::string& path)
      : number_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    require(number_ >= 0, Kind::bad_input, "{}: expected a readable file: {}", path,
            std::strerror(errno));
  }

  ReadableFile(ReadableFile&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

  ReadableFile& operator=(ReadableFile&&) = delete;

  ~ReadableFile() {
    if (number_ >= 0) {
      close(number_);
    }
  }

  int number() const noexcept { return number_; }

  struct stat status(const std::string& path) const {
    struct stat status {};

    require(fstat(number_, &status) == 0 && S_ISREG(status.st_mode), Kind::bad_input,
            "{}: expected a regular file", path);
    return status;
  }

 private:
  int number_;
};

/// So many bytes at the end of a file tell whether it was written anew or has grown.
constexpr std::int64_t kEnd = 4096;

class FileSource final : public ByteSource {
 public:
  FileSource(const std::string& path, Descriptor descriptor) : path_(path) {
    ReadableFile file(path);
    const auto status = file.status(path);
    size_ = status.st_size;
    device_ = status.st_dev;
    inode_ = status.st_ino;
    modified_ = status.st_mtim;
    end_.resize(static_cast<std::size_t>(std::min(size_, kEnd)));
    read_from(file.number(), size_ - std::ssize(end_), end_);
    if (descriptor == Descriptor::kept) {
      kept_.emplace(std::move(file));
    }
  }

  const std::string& name() const override { return path_; }

  std::int64_t size() const override { return size_; }

  void read(std::int64_t offset, std::int64_t bytes, std::string& out) const override {
    bytes = std::clamp<std::int64_t>(size_ - offset, 0, bytes);
    out.resize(static_cast<std::size_t>(bytes));
    if (bytes == 0) {
      return;
    }
    if (kept_) {
      read_from(kept_->number(), offset, out);
      require_unchanged(*kept_);
      return;
    }
    const ReadableFile file(path_);
    const auto status = file.status(path_);
    require(status.st_dev == device_ && status.st_ino == inode_, Kind::io,
            "{}: expected the file of the start: found another one in its place", path_);
    read_from(file.number(), offset, out);
    require_unchanged(file);
  }

 private:
  /// Refuses bytes of a file that somebody has written to, unless it has only grown: its records
  /// would begin at other places.
  void require_unchanged(const ReadableFile& file) const {
    const auto status = file.status(path_);
    if (status.st_mtim.tv_sec == modified_.tv_sec && status.st_mtim.tv_nsec == modified_.tv_nsec) {
      return;
    }
    std::string end(end_.size(), '\0');
    if (status.st_size > size_) {
      read_from(file.number(), size_ - std::ssize(end), end);
    }
    const std::string change =
        status.st_size == size_
            ? "that it was written to"
            : fmt::format("a change, from {} to {} bytes", size_, status.st_size);
    require(status.st_size > size_ && end == end_, Kind::io,
            "{}: expected a file that nobody writes to while it is read: found {}; name a file "
            "that is complete",
            path_, change);
  }

  void read_from(int file, std::int64_t offset, std::string& out) const {
    const std::int64_t bytes = std::ssize(out);
    std::int64_t done = 0;
    while (done < bytes) {
      const ssize_t got =
          pread(file, out.data() + done, static_cast<std::size_t>(bytes - done), offset + done);
      if (got < 0 && errno == EINTR) {
        continue;
      }
      require(got >= 0, Kind::io, "{}: cannot read: {}; offset {}", path_, std::strerror(errno),
              offset + done);
      require(got > 0, Kind::io,
              "{}: expected {} bytes: the file became shorter while it was read, to {}", path_,
              size_, offset + done);
      done += got;
    }
  }

  std::string path_;
  std::int64_t size_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  timespec modified_{};
  std::string end_;  // the last bytes; where they stay, bytes were added
  std::optional<ReadableFile> kept_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, std::string bytes)
      : name_(std::move(name)), bytes_(std::move(bytes)) {}

  const std::string& name() const override { return name_; }

  std::int64_t size() const override { return static_cast<std::int64_t>(bytes_.size()); }

  void read(std::int64_t offset, std::int64_t bytes, std::string& out) const override {
    bytes = std::clamp<std::int64_t>(size() - offset, 0, bytes);
    out.assign(bytes_, static_cast<std::size_t>(std::min(offset, size())),
               static_cast<std::size_t>(bytes));
  }

 private:
  std::string name_;
  std::string bytes_;
};

}  // namespace

std::unique_ptr<ByteSource> open_file(const std::string& path, Descriptor descriptor) {
  return std::make_unique<FileSource>(path, descriptor);
}

std::unique_ptr<ByteSource> memory_source(std::string name, std::string bytes) {
  return std::make_unique<MemorySource>(std::move(name), std::move(bytes));
}

}  // namespace keyshard
