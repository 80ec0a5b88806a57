// Rows in RocksDB. Each rank has a database of its own, PATH/TABLE/rank-R-of-P, since a process
// locks its database; where a table names the owners of its shards, the shards of the rank stand in
// the name, too. Keys are shard and key, big-endian, so that a shard is a range in the order
// of keys; the header has a key that is shorter than all others.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "embedding/stores/make_store.hpp"
#include "embedding/stores/rocksdb_database.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

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

std::string rank_folder(std::int64_t rank, const ShardOwners& owners) {
  const Range shards = owners.shards_of(rank);
  return fmt::format("rank-{}-of-{}", rank, owners.ranks()) +
         (owners.in_order() ? "" : fmt::format("-shards-{}-to-{}", shards.begin, shards.end));
}

/// The rank of a folder that rank_folder has named for some ranks and owners; -1: another folder.
std::int64_t rank_in(const std::string& name) {
  long long rank = 0, ranks = 0, begin = 0, end = 0;
  const int numbers = std::sscanf(name.c_str(), "rank-%lld-of-%lld-shards-%lld-to-%lld", &rank,
                                  &ranks, &begin, &end);
  // A copy under a longer name is none of ours: clear would remove it.
  const std::string in_order = fmt::format("rank-{}-of-{}", rank, ranks);
  return (numbers == 2 && name == in_order) ||
                 (numbers == 4 && name == fmt::format("{}-shards-{}-to-{}", in_order, begin, end))
             ? rank
             : -1;
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
        database_((folder_ / rank_folder(owner.rank, owner.owners)).string()) {
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
    // Of the databases of other ranks and owners, each rank removes its share.
    for (const Other& other : folders_of_others()) {
      if (other.rank % owner_.owners.ranks() == owner_.rank) {
        database_.destroy_other(other.path);
        std::error_code ignored;  // an empty folder is none of a database
        std::filesystem::remove_all(other.path, ignored);
      }
    }
    others_.clear();
  }

 private:
  /// A database of another number of ranks, or of other owners.
  struct Other {
    std::string path;
    std::int64_t rank;
  };

  std::vector<Other> folders_of_others() const {
    std::vector<Other> others;
    std::set<std::string> own;
    for (std::int64_t rank = 0; rank < owner_.owners.ranks(); ++rank) {
      own.insert(rank_folder(rank, owner_.owners));
    }
    std::error_code failure;
    std::filesystem::directory_iterator at(folder_, failure);
    for (; !failure && at != std::filesystem::directory_iterator(); at.increment(failure)) {
      const std::string name = at->path().filename().string();
      const std::int64_t rank = rank_in(name);
      if (rank >= 0 && own.count(name) == 0) {
        others.push_back({at->path().string(), rank});
      }
    }
    require(!failure, Kind::io, "{}: expected to list the folder around the store: found {}",
            place(), failure.message());
    return others;
  }

  /// Throws where other ranks or owners have left rows, of which this rank would see a part.
  void require_own() const {
    require(
        others_.empty(), Kind::invalid_argument,
        "{}: expected rows of {} ranks{}: found {}; run on as many ranks with the same devices, "
        "resume from a checkpoint, which replaces the rows, or remove the folder",
        place(), owner_.owners.ranks(),
        owner_.owners.in_order()
            ? ""
            : fmt::format(", owned by the ranks {}", joined(owner_.owners.list(), ", ")),
        others_.empty() ? "" : others_.front().path);
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
