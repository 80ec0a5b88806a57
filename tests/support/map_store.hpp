// A store that a program could bring along: records in a map of this process, which all ranks that
// are threads of it share.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "embedding/stores/own_store.hpp"

namespace keyshard::testing {

/// The records of a table, by shard and key, and their header.
struct Shelf {
  std::mutex mutex;
  std::string header;
  std::map<std::pair<std::int64_t, Key>, std::vector<float>> records;
};

class MapStore final : public Store {
 public:
  MapStore(const RecordLayout& layout, std::shared_ptr<Shelf> shelf)
      : Store(layout), shelf_(std::move(shelf)) {
    const std::lock_guard lock(shelf_->mutex);
    if (shelf_->header.empty()) {
      shelf_->header = layout.text;
    }
    require_layout(place(), layout, shelf_->header);
  }

  std::string place() const override { return "a map"; }

  void get(Span<const StoreKey> keys, float* records, std::uint8_t* found) override {
    const std::lock_guard lock(shelf_->mutex);
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      const auto at = shelf_->records.find({keys[i].shard, keys[i].key});
      found[i] = at != shelf_->records.end() ? 1 : 0;
      if (found[i] != 0) {
        std::copy(at->second.begin(), at->second.end(), records + i * layout().size());
      }
    }
  }

  void put(Span<const StoreKey> keys, const float* records) override {
    const std::lock_guard lock(shelf_->mutex);
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      const float* record = records + i * layout().size();
      shelf_->records[{keys[i].shard, keys[i].key}] = {record, record + layout().size()};
    }
  }

  void erase(Span<const StoreKey> keys) override {
    const std::lock_guard lock(shelf_->mutex);
    for (const StoreKey& key : keys) {
      shelf_->records.erase({key.shard, key.key});
    }
  }

  std::int64_t count(Range shards) override {
    const std::lock_guard lock(shelf_->mutex);
    return std::distance(begin_of(shards.begin), begin_of(shards.end));
  }

  void scan(std::int64_t shard,
            const std::function<void(Key key, const float* record)>& visit) override {
    const std::lock_guard lock(shelf_->mutex);
    for (auto at = begin_of(shard); at != begin_of(shard + 1); ++at) {
      visit(at->first.second, at->second.data());
    }
  }

  void clear(Range shards) override {
    const std::lock_guard lock(shelf_->mutex);
    shelf_->records.erase(begin_of(shards.begin), begin_of(shards.end));
  }

 private:
  std::map<std::pair<std::int64_t, Key>, std::vector<float>>::iterator begin_of(
      std::int64_t shard) {
    return shelf_->records.lower_bound({shard, Key{0}});
  }

  std::shared_ptr<Shelf> shelf_;
};

/// A kv_creator whose records lie on one shelf.
inline OwnStoreRows map_rows(const std::string& name,
                             std::shared_ptr<Shelf> shelf = std::make_shared<Shelf>()) {
  return own_store(name, [shelf](const RecordLayout& layout, const StoreOwner&) {
    return std::make_unique<MapStore>(layout, shelf);
  });
}

}  // namespace keyshard::testing
