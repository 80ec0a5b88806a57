// A RocksDB: pairs of bytes in a folder, ordered by key, open in one process. It stands on the C
// interface of the library, since the C++ headers of RocksDB take seconds to compile. Every failure
// names the database: Error{corrupt_data} for damaged files, else Error{io}.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct rocksdb_column_family_handle_t;
struct rocksdb_readoptions_t;
struct rocksdb_t;
struct rocksdb_writebatch_t;
struct rocksdb_writeoptions_t;

namespace keyshard {

/// Frees what the library has made.
struct FreeRocksDb {
  void operator()(rocksdb_column_family_handle_t* column) const;
  void operator()(rocksdb_readoptions_t* options) const;
  void operator()(rocksdb_t* database) const;
  void operator()(rocksdb_writebatch_t* batch) const;
  void operator()(rocksdb_writeoptions_t* options) const;
};

template <class T>
using RocksDbOwned = std::unique_ptr<T, FreeRocksDb>;

/// Changes that a database makes together.
class RocksDbChanges {
 public:
  RocksDbChanges();

  void put(std::string_view key, std::string_view value);
  void erase(std::string_view key);

 private:
  friend class RocksDbDatabase;

  RocksDbOwned<rocksdb_writebatch_t> batch_;
};

class RocksDbDatabase {
 public:
  /// Opens the database of a folder, and makes it where there is none. Values are not compressed,
  /// and filters answer for most keys that are absent.
  explicit RocksDbDatabase(const std::string& folder);

  /// "rocksdb FOLDER".
  const std::string& place() const noexcept { return place_; }

  /// Calls found(i, value) for each keys[i] that has a value, by ascending i. One request.
  void get(const std::vector<std::string_view>& keys,
           const std::function<void(std::size_t i, std::string_view value)>& found) const;

  /// Makes all changes, or none.
  void write(const RocksDbChanges& changes);

  /// Removes the keys from `first` to before `end`.
  void erase(std::string_view first, std::string_view end);

  /// Calls visit(key, value) for the keys from `first` to before `end`, in their order; an empty
  /// `end` is after all keys. `visit` returns whether to go on.
  void scan(std::string_view first, std::string_view end,
            const std::function<bool(std::string_view key, std::string_view value)>& visit) const;

  /// Removes the database of another folder, which no one may have open.
  void destroy_other(const std::string& folder) const;

 private:
  /// Throws where there is an error, and frees its text.
  void check(char* error, const std::string& what) const;

  std::string place_;
  RocksDbOwned<rocksdb_readoptions_t> read_;
  RocksDbOwned<rocksdb_writeoptions_t> write_;
  RocksDbOwned<rocksdb_t> database_;
  RocksDbOwned<rocksdb_column_family_handle_t> column_;  // stands behind its database, to go first
};

}  // namespace keyshard
