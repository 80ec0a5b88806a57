// What checkpoints ask of a file system, in few calls, so that a test can make any call fail. Files
// are never opened through a symbolic link as the last part of a path. Every error of a FileSystem
// is Error{io} with the path and the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/digest.hpp"
#include "runtime/portable.hpp"
#include "runtime/thread_pool.hpp"

namespace keyshard {

enum class FileType { file, folder, other };

struct FileEntry {
  std::string name;
  FileType type = FileType::other;  ///< a symbolic link is `other`
  std::int64_t bytes = 0;           ///< of a file
};

/// A file that is open to be read, by several threads at once.
class OpenFile {
 public:
  virtual ~OpenFile() = default;

  /// Reads from `offset` on into `out`; returns the number of bytes read, fewer than `out` holds at
  /// the end of the file alone.
  virtual std::int64_t read(std::int64_t offset, Span<std::byte> out) const = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Makes a folder and its parents; existing ones are fine.
  virtual void make_folders(const std::string& path) = 0;
  /// Makes one folder, which must be new.
  virtual void make_folder(const std::string& path) = 0;
  /// What is in a folder, sorted by name.
  virtual std::vector<FileEntry> list(const std::string& folder) = 0;
  virtual bool exists(const std::string& path) = 0;

  /// Gives a folder a new name, which must be free.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  /// Gives each of two folders the name of the other.
  virtual void exchange(const std::string& one, const std::string& other) = 0;
  /// Removes a file or folder with all in it; fine where there is none.
  virtual void remove_tree(const std::string& path) = 0;

  /// Starts to write the cached content of a file to the disk, and does not wait. A hint: errors
  /// are reported by `sync` alone.
  virtual void start_sync(const std::string& path) = 0;
  /// Waits until a file, or the names in a folder, are on the disk.
  virtual void sync(const std::string& path) = 0;

  /// Makes a new file with this content and waits until it is on the disk.
  virtual void write_new(const std::string& path, const std::string& content) = 0;
  /// Opens a file to read it. Never waits, also where the path is a pipe.
  virtual std::unique_ptr<OpenFile> open(const std::string& path) = 0;
};

/// The file system of this machine. Has no state of its own.
class LocalFileSystem final : public FileSystem {
 public:
  void make_folders(const std::string& path) override;
  void make_folder(const std::string& path) override;
  std::vector<FileEntry> list(const std::string& folder) override;
  bool exists(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void exchange(const std::string& one, const std::string& other) override;
  void remove_tree(const std::string& path) override;
  void start_sync(const std::string& path) override;
  void sync(const std::string& path) override;
  void write_new(const std::string& path, const std::string& content) override;
  std::unique_ptr<OpenFile> open(const std::string& path) override;
};

/// A whole small file. Throws Error{corrupt_data} where it has more than `limit` bytes.
std::string read_text(FileSystem& files, const std::string& path, std::int64_t limit);

/// Names the content of a file of `bytes` bytes: XXH3-128 of the XXH3-128s of its blocks of 4 MiB,
/// which `threads` read. Throws Error{corrupt_data} where the file has another size. `advance`, if
/// given, is called per block, from any thread.
Digest128 file_digest(FileSystem& files, const std::string& path, std::int64_t bytes,
                      ThreadPool& threads, const std::function<void()>& advance = {});

/// Keeps a folder for one process: a lock on the file `.lock` in the folder; the file holds the
/// number of the process. The lock ends with this object, or with the process, however the process
/// ends.
class FolderLock {
 public:
  /// Throws Error{io} naming the process that has the folder.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// Why nothing keeps other processes away: the file system has no locks. Empty: the lock holds.
  const std::string& missing() const noexcept { return missing_; }

 private:
  int file_ = -1;
  std::string missing_;
};

}  // namespace keyshard
