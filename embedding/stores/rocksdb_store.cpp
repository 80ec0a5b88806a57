// Rows in RocksDB. Each rank has a database of its own, PATH/TABLE/rank-R-of-P, since a process
// locks its database. Keys are shard and key, big-endian, so that a shard is a range in the order
// of keys; the header has a key that is shorter than all others.
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "embedding/stores/make_store.hpp"
#include "embedding/stores/rocksdb_database.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::size_t kKeyBytes = 10;
constexpr const char* kHeader = "layout";

/// Shard and key, big-endian.
struct DiskKey {
  char bytes[kKeyBytes];

  DiskKey(std::uint64_t shard, Key key) {
    for (std::size_t i = 0; i < 2; ++i) {
      bytes[i] = static_cast<char>(shard >> (8 * (1 - i)));
    }
    for (std::size_t i = 0; i < 8; ++i) {
      bytes[2 + i] = static_cast<char>(key >> (8 * (7 - i)));
    }
  }

  std::string_view text() const { return {bytes, kKeyBytes}; }
};

Key key_in(std::string_view text) {
  Key key = 0;
  for (std::size_t i = 2; i < kKeyBytes; ++i) {
    key = key << 8 | static_cast<unsigned char>(text[i]);
  }
  return key;
}

std::string rank_folder(std::int64_t rank, std::int64_t ranks) {
  return fmt::format("rank-{}-of-{}", rank, ranks);
}

std::string_view record_text(const float* record, const RecordLayout& layout) {
  return {reinterpret_cast<const char*>(record), layout.bytes()};
}

/// Makes the folder of the databases of a table, and returns it.
std::filesystem::path made(std::filesystem::path folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  require(!failure, Kind::io, "rocksdb {}: expected to make the folder: found {}", folder.string(),
          failure.message());
  return folder;
}

class RocksDbStore final : public Store {
 public:
  RocksDbStore(const RocksDbRows& rows, RecordLayout layout, const StoreOwner& owner)
      : Store(std::move(layout)),
        owner_(owner),
        folder_(made(std::filesystem::path(rows.path) / path_part(this->layout().table))),
        database_((folder_ / rank_folder(owner.rank, owner.ranks)).string()) {
    check_header();
    others_ = folders_of_others();
  }

  std::string place() const override { return database_.place(); }

  void get(Span<const StoreKey> keys, float* records, std::uint8_t* found) override {
    require_own();
    std::vector<DiskKey> names;
    std::vector<std::string_view> texts;
    names.reserve(static_cast<std::size_t>(keys.size()));
    texts.reserve(names.capacity());
    for (const StoreKey& key : keys) {
      texts.push_back(names.emplace_back(key.shard, key.key).text());
    }
    std::fill_n(found, keys.size(), std::uint8_t{0});
    database_.get(texts, [&](std::size_t i, std::string_view value) {
      const auto row = static_cast<std::int64_t>(i);
      require_record(database_.place(), layout(), keys[row].key, value.size());
      found[i] = 1;
      std::memcpy(records + row * layout().size(), value.data(), value.size());
    });
  }

  void put(Span<const StoreKey> keys, const float* records) override {
    require_own();
    RocksDbChanges changes;
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      changes.put(DiskKey(keys[i].shard, keys[i].key).text(),
                  record_text(records + i * layout().size(), layout()));
    }
    database_.write(changes);
  }

  void erase(Span<const StoreKey> keys) override {
    require_own();
    RocksDbChanges changes;
    for (const StoreKey& key : keys) {
      changes.erase(DiskKey(key.shard, key.key).text());
    }
    database_.write(changes);
  }

  std::int64_t count(Range shards) override {
    std::int64_t records = 0;
    for_each(shards, [&](std::string_view, std::string_view) { ++records; });
    return records;
  }

  void scan(std::int64_t shard,
            const std::function<void(Key key, const float* record)>& visit) override {
    std::vector<float> record(static_cast<std::size_t>(layout().size()));
    for_each({shard, shard + 1}, [&](std::string_view name, std::string_view value) {
      require_record(database_.place(), layout(), key_in(name), value.size());
      std::memcpy(record.data(), value.data(), value.size());
      visit(key_in(name), record.data());
    });
  }

  void clear(Range shards) override {
    const DiskKey first(static_cast<std::uint64_t>(shards.begin), 0);
    const DiskKey last(static_cast<std::uint64_t>(shards.end), 0);
    database_.erase(first.text(), last.text());
    // Of the databases of another number of ranks, each rank removes its share.
    for (const Other& other : folders_of_others()) {
      if (other.rank % owner_.ranks == owner_.rank) {
        database_.destroy_other(other.path);
        std::error_code ignored;  // an empty folder is none of a database
        std::filesystem::remove_all(other.path, ignored);
      }
    }
    others_.clear();
  }

 private:
  /// A database of another number of ranks.
  struct Other {
    std::string path;
    std::int64_t rank;
    std::int64_t ranks;
  };

  std::vector<Other> folders_of_others() const {
    std::vector<Other> others;
    std::error_code failure;
    std::filesystem::directory_iterator at(folder_, failure);
    for (; !failure && at != std::filesystem::directory_iterator(); at.increment(failure)) {
      const std::string name = at->path().filename().string();
      long long rank = 0, ranks = 0;
      // A copy under a longer name is none of ours: clear would remove it.
      if (std::sscanf(name.c_str(), "rank-%lld-of-%lld", &rank, &ranks) == 2 &&
          name == rank_folder(rank, ranks) && ranks != owner_.ranks) {
        others.push_back({at->path().string(), rank, ranks});
      }
    }
    require(!failure, Kind::io, "{}: expected to list the folder around the store: found {}",
            place(), failure.message());
    return others;
  }

  /// Throws where another number of ranks has left rows, of which this rank would see a part.
  void require_own() const {
    require(others_.empty(), Kind::invalid_argument,
            "{}: expected rows of {} ranks: found {}, of {}; run on as many ranks, resume from a "
            "checkpoint, which replaces the rows, or remove the folder",
            place(), owner_.ranks, others_.empty() ? "" : others_.front().path,
            others_.empty() ? 0 : others_.front().ranks);
  }

  void check_header() {
    bool found = false;
    database_.get({kHeader}, [&](std::size_t, std::string_view text) {
      found = true;
      require_layout(place(), layout(), std::string(text));
    });
    if (found) {
      return;
    }
    database_.scan({}, {},
                   [&](std::string_view, std::string_view) -> bool { refuse_foreign(place()); });
    RocksDbChanges changes;
    changes.put(kHeader, layout().text);
    database_.write(changes);
  }

  template <class Visit>
  void for_each(Range shards, const Visit& visit) {
    require_own();
    const DiskKey first(static_cast<std::uint64_t>(shards.begin), 0);
    const DiskKey end(static_cast<std::uint64_t>(shards.end), 0);
    database_.scan(first.text(), end.text(), [&](std::string_view key, std::string_view value) {
      if (key.size() == kKeyBytes) {
        visit(key, value);
      }
      return true;
    });
  }

  StoreOwner owner_;
  std::filesystem::path folder_;
  RocksDbDatabase database_;
  std::vector<Other> others_;
};

}  // namespace

std::unique_ptr<Store> open_rocksdb(const RocksDbRows& rows, RecordLayout layout,
                                    const StoreOwner& owner) {
  return std::make_unique<RocksDbStore>(rows, std::move(layout), owner);
}

}  // namespace keyshard
