#include "launch/output_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

OutputFile::OutputFile(const std::string& path, const std::vector<std::string>& inputs)
    : path_(path) {
  struct stat mine {};

  struct stat other {};

  if (path == "-") {
    file_ = ::dup(STDOUT_FILENO);
    standard_output_ = true;
    return;
  }
  const bool existed = ::stat(path.c_str(), &mine) == 0;
  for (const std::string& input : inputs) {
    require(!existed || !S_ISREG(mine.st_mode) || ::stat(input.c_str(), &other) != 0 ||
                !same_file(mine, other),
            Kind::invalid_argument, "{}: expected a file to write: found a file of the data, {}",
            path, input);
  }
  file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  require(file_ >= 0, Kind::invalid_argument, "{}: cannot be written: {}", path,
          std::strerror(errno));
  made_ = !existed;
  standard_output_ =
      ::fstat(STDOUT_FILENO, &other) == 0 && ::fstat(file_, &mine) == 0 && same_file(mine, other);
}

OutputFile::~OutputFile() {
  if (file_ >= 0) {
    ::close(file_);
    if (made_) {
      ::unlink(path_.c_str());
    }
  }
}

void OutputFile::finish(std::string_view content) {
  int reason = ::ftruncate(file_, 0) == 0 || errno == EINVAL ? 0 : errno;  // a pipe has no length
  while (reason == 0 && !content.empty()) {
    const ssize_t wrote = ::write(file_, content.data(), content.size());
    if (wrote < 0) {
      reason = errno == EINTR ? 0 : errno;
    } else {
      content.remove_prefix(static_cast<std::size_t>(wrote));
    }
  }
  made_ = false;
  const bool closed = ::close(file_) == 0;
  reason = reason != 0 ? reason : closed ? 0 : errno;
  file_ = -1;
  require(reason == 0, Kind::io, "{}: cannot be written whole: {}", path_, std::strerror(reason));
}

}  // namespace keyshard
