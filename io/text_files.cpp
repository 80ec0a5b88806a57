#include "io/text_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collectives/vote.hpp"
#include "io/archive_file.hpp"
#include "io/first_bytes.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kPipePiece = std::int64_t{1} << 20;
constexpr std::int64_t kMessage = std::int64_t{1} << 28;
constexpr std::int64_t kKeptDescriptors = 64;  // of a split; other files are opened for each read

struct stat status_of(const std::string& path) {
  const std::string file = archive_path(path).file;

  struct stat status {};

  const int result = path == "-" ? fstat(STDIN_FILENO, &status) : stat(file.c_str(), &status);
  require(result == 0, Kind::bad_input, "{}: expected a readable file: {}", path,
          std::strerror(errno));
  return status;
}

FileStamp stamp_of(const std::string& path) {
  const auto status = status_of(path);
  return {status.st_size,
          std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

/// All that comes through a pipe.
std::string drain(const std::string& path, std::int64_t limit, std::int64_t allowed,
                  Progress& progress) {
  const int pipe = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  require(pipe >= 0, Kind::bad_input, "{}: expected a readable pipe: {}", path,
          std::strerror(errno));
  std::string all, piece(static_cast<std::size_t>(kPipePiece), '\0');
  ssize_t got = 0;
  do {
    got = read(pipe, piece.data(), piece.size());
    all.append(piece, 0, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    progress.advance();
  } while ((got > 0 && static_cast<std::int64_t>(all.size()) <= limit) ||
           (got < 0 && errno == EINTR));
  const int error = errno;
  if (path != "-") {
    close(pipe);
  }
  require(got >= 0, Kind::io, "{}: cannot read: {}", path, std::strerror(error));
  require(
      static_cast<std::int64_t>(all.size()) <= limit, Kind::bad_input,
      "{}: expected at most {} bytes from a pipe, what is left of data.memory_bytes = {}: found "
      "more; raise it, or write a file",
      path, limit, allowed);
  return all;
}

/// Gives the bytes of rank 0 to all ranks.
void spread(std::string& bytes, Communicator<Cpu>& communicator) {
  auto size = static_cast<std::int64_t>(bytes.size());
  communicator.broadcast(std::as_writable_bytes(Span<std::int64_t>(&size, 1)), 0);
  bytes.resize(static_cast<std::size_t>(size));
  const Span<std::byte> all = std::as_writable_bytes(Span<char>(bytes));
  for (std::int64_t at = 0; at < size; at += kMessage) {
    communicator.broadcast(all.subspan(at, std::min(kMessage, size - at)), 0);
  }
}

/// Files that are being opened, and the memory that is left for them.
class Opening {
 public:
  Opening(const DataOptions& options, const std::vector<std::string>& paths,
          Communicator<Cpu>& communicator)
      : allowed_(options.memory_bytes), left_(options.memory_bytes), communicator_(communicator) {
    for (const std::string& path : paths) {
      files_.push_back({path, {}, nullptr});
    }
  }

  /// Reads pipes into memory and looks at the other files. Collective.
  void take_pipes() {
    std::vector<char> pipes(files_.size());
    vote(communicator_, [&] {
      for (std::size_t f = 0; f < files_.size(); ++f) {
        pipes[f] = is_pipe(files_[f].path) ? 1 : 0;
        files_[f].stamp = pipes[f] != 0 ? FileStamp{} : stamp_of(files_[f].path);
      }
    });
    for (std::size_t f = 0; f < files_.size(); ++f) {
      if (pipes[f] != 0) {
        take_pipe(files_[f]);
      }
    }
  }

  void open_plain() {
    std::int64_t open = 0;
    for (TextFile& file : files_) {
      if (file.bytes == nullptr && !is_archive(file.path)) {
        const bool kept = open++ < kKeptDescriptors;
        file.bytes = text_of(open_file(file.path, kept ? Descriptor::kept : Descriptor::per_read));
      }
    }
  }

  /// Unpacks all compressed files into memory and returns null. Where a file no longer fits, keeps
  /// none of them in memory and returns that file.
  const TextFile* unpack_all() {
    const InPhase phase(communicator_.progress(), Phase::unpacking);
    std::vector<std::unique_ptr<ByteSource>> unpacked(files_.size());
    std::int64_t left = left_;
    for (std::size_t f = 0; f < files_.size(); ++f) {
      if (files_[f].bytes == nullptr) {
        std::string bytes;
        if (!unpack(files_[f].path, left, communicator_.progress(), bytes)) {
          return &files_[f];
        }
        left -= static_cast<std::int64_t>(bytes.size());
        unpacked[f] = text_in_memory(files_[f].path, std::move(bytes));
      }
    }
    for (std::size_t f = 0; f < files_.size(); ++f) {
      files_[f].bytes = unpacked[f] ? std::move(unpacked[f]) : std::move(files_[f].bytes);
    }
    return nullptr;
  }

  std::vector<TextFile> files() { return std::move(files_); }

 private:
  void take_pipe(TextFile& file) {
    const InPhase phase(communicator_.progress(), Phase::reading);
    std::string bytes;
    vote(communicator_, [&] {
      if (communicator_.rank() == 0) {
        bytes = drain(file.path, left_, allowed_, communicator_.progress());
      }
    });
    spread(bytes, communicator_);
    file.stamp.bytes = static_cast<std::int64_t>(bytes.size());
    left_ -= file.stamp.bytes;
    file.bytes = text_in_memory(file.path, std::move(bytes));
  }

  std::int64_t allowed_;
  std::int64_t left_;
  Communicator<Cpu>& communicator_;
  std::vector<TextFile> files_;
};

/// Refuses pipes whose records are dealt to several splits, each of which reads its files.
void require_no_shared_pipe(const DataOptions& options, Split split) {
  for (const std::string& path : options.files(split)) {
    require(!options.is_share(split) || !is_pipe(path), Kind::bad_input,
            "{}: expected a file where data.split is set, for each split reads it: found a pipe",
            path);
  }
}

}  // namespace

bool is_pipe(const std::string& path) { return path == "-" || S_ISFIFO(status_of(path).st_mode); }

TextFiles open_text_files(const DataOptions& options, Split split, std::int64_t slices,
                          Communicator<Cpu>& communicator) {
  const std::vector<std::string>& paths = options.files(split);
  require_no_shared_pipe(options, split);
  Opening opening(options, paths, communicator);
  opening.take_pipes();
  ReadOrder order = options.order_of(split);
  vote(communicator, [&] {
    if (order == ReadOrder::stream) {
      return;
    }
    opening.open_plain();
    const TextFile* large = order == ReadOrder::files ? nullptr : opening.unpack_all();
    require(large == nullptr || order == ReadOrder::automatic, Kind::bad_input,
            "{}: unpacks to more than what is left of data.memory_bytes = {}; raise it, unpack "
            "the file, or set order = \"files\" or \"stream\"",
            large == nullptr ? "" : large->path, options.memory_bytes);
    if (order == ReadOrder::automatic) {
      const bool many = static_cast<std::int64_t>(paths.size()) >= slices;
      order = large == nullptr ? ReadOrder::blocks : many ? ReadOrder::files : ReadOrder::stream;
    }
  });
  return {order, opening.files()};
}

}  // namespace keyshard
