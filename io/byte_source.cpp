#include "io/byte_source.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path)
      : path_(path), file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    require(file_ >= 0, Kind::bad_input, "{}: expected a readable file: {}", path,
            std::strerror(errno));

    struct stat status {};

    if (fstat(file_, &status) != 0 || !S_ISREG(status.st_mode)) {
      close(file_);
      fail(Kind::bad_input, "{}: expected a regular file", path);
    }
    size_ = status.st_size;
  }

  ~FileSource() override { close(file_); }

  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  const std::string& name() const override { return path_; }

  std::int64_t size() const override { return size_; }

  void read(std::int64_t offset, std::int64_t bytes, std::string& out) const override {
    bytes = std::clamp<std::int64_t>(size_ - offset, 0, bytes);
    out.resize(static_cast<std::size_t>(bytes));
    std::int64_t done = 0;
    while (done < bytes) {
      const ssize_t got =
          pread(file_, out.data() + done, static_cast<std::size_t>(bytes - done), offset + done);
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

 private:
  std::string path_;
  int file_;
  std::int64_t size_ = 0;
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

std::unique_ptr<ByteSource> open_file(const std::string& path) {
  return std::make_unique<FileSource>(path);
}

std::unique_ptr<ByteSource> memory_source(std::string name, std::string bytes) {
  return std::make_unique<MemorySource>(std::move(name), std::move(bytes));
}

}  // namespace keyshard
