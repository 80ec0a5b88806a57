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
  /// Memory that `map` gives and `unmap` takes back: of which device decides whose blocks they are.
  explicit Arena(void* (*map)(std::size_t) = map_memory<Cpu>,
                 void (*unmap)(void*, std::size_t) noexcept = unmap_memory<Cpu>)
      : map_(map), unmap_(unmap) {}

  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block aligned to 64 bytes, uninitialised. Throws Error{out_of_memory}. Thread-safe.
  void* allocate(std::size_t bytes);
  /// Takes a block back, with the bytes that were asked for. Allocates nothing. Thread-safe.
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
  // Nodes of both trees that hold no hole: one at least for each block in use, for its release.
  std::multimap<std::size_t, std::size_t> spare_holes_;
  std::multiset<std::pair<std::size_t, std::size_t>> spare_sizes_;
  std::size_t blocks_ = 0;  // in use
  std::size_t bytes_ = 0;
};

}  // namespace keyshard
