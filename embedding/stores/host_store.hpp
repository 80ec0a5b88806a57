// Records in memory of the host: what is behind the memory of a device in `tiered`. A CUDA device
// reads and writes them where they lie, in pinned memory. They are a part of their table and go
// with it.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "embedding/rules/partitioners.hpp"
#include "embedding/stores/store.hpp"
#include "runtime/memory_pool.hpp"

namespace keyshard {

/// Where memory of the host comes from (map_host_memory).
struct HostMemory {
  void* (*map)(std::size_t bytes);
  void (*unmap)(void* block, std::size_t bytes) noexcept;
};

/// Memory of the host that a device reaches.
template <Backend B>
HostMemory host_memory() {
  return {&map_host_memory<B>, &unmap_host_memory<B>};
}

class HostStore final : public Store {
 public:
  HostStore(RecordLayout layout, const HostMemory& memory);
  ~HostStore() override;

  std::string place() const override { return "memory of the host"; }

  /// The place of the record of each key, null where there is none. A record stays where it is
  /// until it is erased.
  std::vector<float*> find(Span<const StoreKey> keys) const;

  /// The place of the record of each key; those of new records hold anything. All or none.
  std::vector<float*> make(Span<const StoreKey> keys);

  void get(Span<const StoreKey> keys, float* records, std::uint8_t* found) override;
  void put(Span<const StoreKey> keys, const float* records) override;
  void erase(Span<const StoreKey> keys) override;
  std::int64_t count(Range shards) override;
  void scan(std::int64_t shard,
            const std::function<void(Key key, const float* record)>& visit) override;
  void clear(Range shards) override;

 private:
  /// Makes room for so many records without a key.
  void reserve(std::size_t records);

  HostMemory memory_;
  std::size_t block_records_;
  std::vector<void*> blocks_;
  std::vector<float*> free_;
  std::array<std::unordered_map<Key, float*, KeyHash>, kShards> shards_;
};

}  // namespace keyshard
