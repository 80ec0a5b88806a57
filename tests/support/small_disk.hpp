// A disk that is soon full: a tmpfs of a few bytes. Only root may mount one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <sys/mount.h>

namespace keyshard::testing {

/// A file system of `bytes` bytes, mounted while this lives.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, std::int64_t bytes) : path_(path) {
    std::filesystem::create_directories(path);
    mounted_ =
        ::mount("tmpfs", path.c_str(), "tmpfs", 0, fmt::format("size={}", bytes).c_str()) == 0;
  }

  ~SmallDisk() {
    if (mounted_) {
      ::umount2(path_.c_str(), MNT_DETACH);
    }
  }

  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_;
};

}  // namespace keyshard::testing
