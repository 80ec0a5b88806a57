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

#include "runtime/memory_pool.hpp"

namespace keyshard {

class Arena {
 public:
  /// Takes memory from `map` and gives it back to `unmap`; blocks are on the device of these two.
  explicit Arena(void* (*map)(std::size_t) = map_memory<Cpu>,
                 void (*unmap)(void*, std::size_t) noexcept = unmap_memory<Cpu>)
      : map_(map), unmap_(unmap) {}

  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block aligned to 64 bytes, uninitialised. Throws Error{out_of_memory}. Thread-safe.
  void* allocate(std::size_t bytes);
  /// Takes back a block that was allocated with `bytes`. Allocates nothing. Thread-safe.
  void release(void* block, std::size_t bytes) noexcept;

  /// Bytes taken from the system.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Hole {
    std::size_t address;
    std::size_t bytes;
  };

  void add_spares();
  void map_for(std::size_t bytes);
  void take_out(Hole hole);
  void put_in(Hole hole);
  void put_in_melted(Hole hole);

  struct Mapping {
    void* data;
    std::size_t bytes;
  };

  void* (*map_)(std::size_t);
  void (*unmap_)(void*, std::size_t) noexcept;
  std::mutex mutex_;
  std::vector<Mapping> mappings_;
  std::map<std::size_t, std::size_t> holes_;               // address -> bytes
  std::set<std::pair<std::size_t, std::size_t>> by_size_;  // (bytes, address)
  // Unused nodes of both trees: at least one for each block in use, so that its release allocates
  // nothing.
  std::multimap<std::size_t, std::size_t> spare_holes_;
  std::multiset<std::pair<std::size_t, std::size_t>> spare_sizes_;
  std::size_t blocks_ = 0;  // in use
  std::size_t bytes_ = 0;
};

}  // namespace keyshard
