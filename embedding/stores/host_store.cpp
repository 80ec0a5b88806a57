#include "embedding/stores/host_store.hpp"

#include <algorithm>
#include <utility>

namespace keyshard {
namespace {

/// Pinned memory is mapped in large pieces, for each costs a call of the driver.
constexpr std::size_t kBlockBytes = 4 << 20;

}  // namespace

HostStore::HostStore(RecordLayout layout, const HostMemory& memory)
    : Store(std::move(layout)),
      memory_(memory),
      block_records_(std::max<std::size_t>(kBlockBytes / this->layout().bytes(), 1)) {}

HostStore::~HostStore() {
  for (void* block : blocks_) {
    memory_.unmap(block, block_records_ * layout().bytes());
  }
}

std::vector<float*> HostStore::find(Span<const StoreKey> keys) const {
  std::vector<float*> places(static_cast<std::size_t>(keys.size()));
  std::transform(keys.begin(), keys.end(), places.begin(), [&](const StoreKey& key) {
    const auto at = shards_[key.shard].find(key.key);
    return at == shards_[key.shard].end() ? nullptr : at->second;
  });
  return places;
}

void HostStore::reserve(std::size_t records) {
  const auto size = static_cast<std::size_t>(layout().size());
  while (free_.size() < records) {
    free_.reserve(free_.size() + block_records_);
    blocks_.reserve(blocks_.size() + 1);
    auto* block = static_cast<float*>(memory_.map(block_records_ * layout().bytes()));
    blocks_.push_back(block);
    for (std::size_t i = block_records_; i > 0; --i) {
      free_.push_back(block + (i - 1) * size);
    }
  }
}

std::vector<float*> HostStore::make(Span<const StoreKey> keys) {
  std::vector<float*> places = find(keys);
  reserve(static_cast<std::size_t>(std::count(places.begin(), places.end(), nullptr)));
  for (std::int64_t i = 0; i < keys.size(); ++i) {
    float*& place = places[static_cast<std::size_t>(i)];
    if (place == nullptr) {
      place = shards_[keys[i].shard].emplace(keys[i].key, free_.back()).first->second;
      free_.pop_back();
    }
  }
  return places;
}

void HostStore::get(Span<const StoreKey> keys, float* records, std::uint8_t* found) {
  const std::vector<float*> places = find(keys);
  for (std::size_t i = 0; i < places.size(); ++i) {
    found[i] = places[i] != nullptr ? 1 : 0;
    if (found[i] != 0) {
      std::copy_n(places[i], layout().size(),
                  records + static_cast<std::ptrdiff_t>(i) * layout().size());
    }
  }
}

void HostStore::put(Span<const StoreKey> keys, const float* records) {
  const std::vector<float*> places = make(keys);
  for (float* place : places) {
    std::copy_n(records, layout().size(), place);
    records += layout().size();
  }
}

void HostStore::erase(Span<const StoreKey> keys) {
  for (const StoreKey& key : keys) {
    const auto at = shards_[key.shard].find(key.key);
    if (at != shards_[key.shard].end()) {
      free_.push_back(at->second);
      shards_[key.shard].erase(at);
    }
  }
}

std::int64_t HostStore::count(Range shards) {
  std::int64_t records = 0;
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    records += std::ssize(shards_[static_cast<std::size_t>(shard)]);
  }
  return records;
}

void HostStore::scan(std::int64_t shard,
                     const std::function<void(Key key, const float* record)>& visit) {
  const auto& records = shards_[static_cast<std::size_t>(shard)];
  std::vector<std::pair<Key, const float*>> sorted(records.begin(), records.end());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [key, record] : sorted) {
    visit(key, record);
  }
}

void HostStore::clear(Range shards) {
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    auto& records = shards_[static_cast<std::size_t>(shard)];
    for (const auto& [key, record] : records) {
      free_.push_back(record);
    }
    records.clear();
  }
}

}  // namespace keyshard
