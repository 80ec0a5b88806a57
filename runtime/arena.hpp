// Memory for parts of one long-lived structure: blocks of any size out of large mappings on huge
// pages. Freed neighbours melt together, so that pieces that grow one after another reuse each
// other's space.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace keyshard {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block aligned to 64 bytes, uninitialised. Throws Error{out_of_memory}. Thread-safe.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes) noexcept;

  /// Bytes taken from the system.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  void insert_free(std::size_t address, std::size_t bytes);
  void erase_free(std::map<std::size_t, std::size_t>::iterator hole);
  std::size_t take(std::size_t bytes);

  struct Mapping {
    void* data;
    std::size_t bytes;
  };

  std::mutex mutex_;
  std::vector<Mapping> mappings_;
  std::map<std::size_t, std::size_t> holes_;               // address -> bytes
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  // (bytes, address)
  std::size_t bytes_ = 0;
};

}  // namespace keyshard
