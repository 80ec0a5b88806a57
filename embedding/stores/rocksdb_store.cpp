// Rows in RocksDB. Each rank has a database of its own, PATH/TABLE/rank-R-of-P, since a process
// locks its database. Keys are shard and key, big-endian, so that a shard is a range in the order
// of keys; the header has a key that is shorter than all others.
#include <algorithm>
#include <cstring>
#include <filesystem>

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "embedding/stores/make_store.hpp"
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

  rocksdb::Slice slice() const { return {bytes, kKeyBytes}; }
};

Key key_in(const rocksdb::Slice& slice) {
  Key key = 0;
  for (std::size_t i = 2; i < kKeyBytes; ++i) {
    key = key << 8 | static_cast<unsigned char>(slice[i]);
  }
  return key;
}

rocksdb::Options database_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;  // floats do not compress
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));  // many keys are new
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::string rank_folder(std::int64_t rank, std::int64_t ranks) {
  return fmt::format("rank-{}-of-{}", rank, ranks);
}

rocksdb::Slice record_slice(const float* record, const RecordLayout& layout) {
  return {reinterpret_cast<const char*>(record), layout.bytes()};
}

class RocksDbStore final : public Store {
 public:
  RocksDbStore(const RocksDbRows& rows, RecordLayout layout, const StoreOwner& owner)
      : Store(std::move(layout)),
        owner_(owner),
        folder_(std::filesystem::path(rows.path) / path_part(this->layout().table)),
        path_(folder_ / rank_folder(owner.rank, owner.ranks)) {
    std::error_code failure;
    std::filesystem::create_directories(folder_, failure);
    require(!failure, Kind::io, "{}: expected to make the folder: found {}", place(),
            failure.message());
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(database_options(), path_.string(), &db), "open");
    db_.reset(db);
    check_header();
    others_ = folders_of_others();
  }

  std::string place() const override { return "rocksdb " + path_.string(); }

  void get(Span<const StoreKey> keys, float* records, std::uint8_t* found) override {
    require_own();
    const auto n = static_cast<std::size_t>(keys.size());
    std::vector<DiskKey> names;
    std::vector<rocksdb::Slice> slices;
    names.reserve(n);
    for (const StoreKey& key : keys) {
      names.emplace_back(key.shard, key.key);
      slices.push_back(names.back().slice());
    }
    std::vector<rocksdb::PinnableSlice> values(n);
    std::vector<rocksdb::Status> results(n);
    db_->MultiGet({}, db_->DefaultColumnFamily(), n, slices.data(), values.data(), results.data());
    for (std::size_t i = 0; i < n; ++i) {
      found[i] = results[i].ok() ? 1 : 0;
      if (results[i].IsNotFound()) {
        continue;
      }
      check(results[i], "read");
      require_record(place(), layout(), keys[static_cast<std::int64_t>(i)].key, values[i].size());
      std::memcpy(records + static_cast<std::int64_t>(i) * layout().size(), values[i].data(),
                  values[i].size());
    }
  }

  void put(Span<const StoreKey> keys, const float* records) override {
    require_own();
    rocksdb::WriteBatch batch;
    for (std::int64_t i = 0; i < keys.size(); ++i) {
      check(batch.Put(DiskKey(keys[i].shard, keys[i].key).slice(),
                      record_slice(records + i * layout().size(), layout())),
            "write");
    }
    check(db_->Write({}, &batch), "write");
  }

  void erase(Span<const StoreKey> keys) override {
    require_own();
    rocksdb::WriteBatch batch;
    for (const StoreKey& key : keys) {
      check(batch.Delete(DiskKey(key.shard, key.key).slice()), "write");
    }
    check(db_->Write({}, &batch), "write");
  }

  std::int64_t count(Range shards) override {
    std::int64_t records = 0;
    for_each(shards, [&](const rocksdb::Slice&, const rocksdb::Slice&) { ++records; });
    return records;
  }

  void scan(std::int64_t shard,
            const std::function<void(Key key, const float* record)>& visit) override {
    std::vector<float> record(static_cast<std::size_t>(layout().size()));
    for_each({shard, shard + 1}, [&](const rocksdb::Slice& name, const rocksdb::Slice& value) {
      require_record(place(), layout(), key_in(name), value.size());
      std::memcpy(record.data(), value.data(), value.size());
      visit(key_in(name), record.data());
    });
  }

  void clear(Range shards) override {
    const DiskKey first(static_cast<std::uint64_t>(shards.begin), 0);
    const DiskKey last(static_cast<std::uint64_t>(shards.end), 0);
    check(db_->DeleteRange({}, db_->DefaultColumnFamily(), first.slice(), last.slice()), "write");
    // Of the databases of another number of ranks, each rank removes its share.
    for (const Other& other : folders_of_others()) {
      if (other.rank % owner_.ranks == owner_.rank) {
        check(rocksdb::DestroyDB(other.path, rocksdb::Options()), "remove " + other.path + " for");
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
    std::string found;
    const rocksdb::Status status = db_->Get({}, kHeader, &found);
    if (!status.IsNotFound()) {
      check(status, "read");
      require_layout(place(), layout(), found);
      return;
    }
    const std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator({}));
    any->SeekToFirst();
    check(any->status(), "read");
    if (any->Valid()) {
      refuse_foreign(place());
    }
    check(db_->Put({}, kHeader, layout().text), "write");
  }

  template <class Visit>
  void for_each(Range shards, const Visit& visit) {
    require_own();
    const DiskKey end_key(static_cast<std::uint64_t>(shards.end), 0);
    const rocksdb::Slice end = end_key.slice();
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &end;
    options.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(options));
    for (at->Seek(DiskKey(static_cast<std::uint64_t>(shards.begin), 0).slice()); at->Valid();
         at->Next()) {
      if (at->key().size() == kKeyBytes) {
        visit(at->key(), at->value());
      }
    }
    check(at->status(), "read");
  }

  void check(const rocksdb::Status& status, const std::string& what) const {
    require(status.ok(), status.IsCorruption() ? Kind::corrupt_data : Kind::io,
            "{}: expected to {} the store: found {}", place(), what, status.ToString());
  }

  StoreOwner owner_;
  std::filesystem::path folder_;
  std::filesystem::path path_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<Other> others_;
};

}  // namespace

std::unique_ptr<Store> open_rocksdb(const RocksDbRows& rows, RecordLayout layout,
                                    const StoreOwner& owner) {
  return std::make_unique<RocksDbStore>(rows, std::move(layout), owner);
}

}  // namespace keyshard
