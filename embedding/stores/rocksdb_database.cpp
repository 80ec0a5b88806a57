#include "embedding/stores/rocksdb_database.hpp"

#include <rocksdb/c.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// What a function of the library frees, in this source alone.
template <auto free>
struct FreeBy {
  template <class T>
  void operator()(T* owned) const {
    free(owned);
  }
};

using DatabaseOptions = std::unique_ptr<rocksdb_options_t, FreeBy<rocksdb_options_destroy>>;
using TableFormat = std::unique_ptr<rocksdb_block_based_table_options_t,
                                    FreeBy<rocksdb_block_based_options_destroy>>;
using PinnedValue = std::unique_ptr<rocksdb_pinnableslice_t, FreeBy<rocksdb_pinnableslice_destroy>>;
using Cursor = std::unique_ptr<rocksdb_iterator_t, FreeBy<rocksdb_iter_destroy>>;
using ErrorText = std::unique_ptr<char, FreeBy<rocksdb_free>>;

DatabaseOptions database_options() {
  DatabaseOptions options(rocksdb_options_create());
  rocksdb_options_set_create_if_missing(options.get(), 1);
  rocksdb_options_set_compression(options.get(), rocksdb_no_compression);  // floats stay as long
  const TableFormat table(rocksdb_block_based_options_create());
  rocksdb_block_based_options_set_filter_policy(  // many keys are new; the table owns the policy
      table.get(), rocksdb_filterpolicy_create_bloom_full(10));
  rocksdb_options_set_block_based_table_factory(options.get(), table.get());
  return options;
}

std::string_view text_of_value(const PinnedValue& value) {
  std::size_t bytes = 0;
  const char* data = rocksdb_pinnableslice_value(value.get(), &bytes);
  return {data, bytes};
}

}  // namespace

void FreeRocksDb::operator()(rocksdb_column_family_handle_t* column) const {
  rocksdb_column_family_handle_destroy(column);
}

void FreeRocksDb::operator()(rocksdb_readoptions_t* options) const {
  rocksdb_readoptions_destroy(options);
}

void FreeRocksDb::operator()(rocksdb_t* database) const { rocksdb_close(database); }

void FreeRocksDb::operator()(rocksdb_writebatch_t* batch) const {
  rocksdb_writebatch_destroy(batch);
}

void FreeRocksDb::operator()(rocksdb_writeoptions_t* options) const {
  rocksdb_writeoptions_destroy(options);
}

RocksDbChanges::RocksDbChanges() : batch_(rocksdb_writebatch_create()) {}

void RocksDbChanges::put(std::string_view key, std::string_view value) {
  rocksdb_writebatch_put(batch_.get(), key.data(), key.size(), value.data(), value.size());
}

void RocksDbChanges::erase(std::string_view key) {
  rocksdb_writebatch_delete(batch_.get(), key.data(), key.size());
}

RocksDbDatabase::RocksDbDatabase(const std::string& folder)
    : place_("rocksdb " + folder),
      read_(rocksdb_readoptions_create()),
      write_(rocksdb_writeoptions_create()) {
  const DatabaseOptions options = database_options();
  // A request for several keys wants the column family by its handle.
  const char* name = "default";
  const rocksdb_options_t* of_column = options.get();
  rocksdb_column_family_handle_t* column = nullptr;
  char* error = nullptr;
  database_.reset(rocksdb_open_column_families(options.get(), folder.c_str(), 1, &name, &of_column,
                                               &column, &error));
  check(error, "open");
  column_.reset(column);
}

void RocksDbDatabase::get(
    const std::vector<std::string_view>& keys,
    const std::function<void(std::size_t i, std::string_view value)>& found) const {
  const std::size_t n = keys.size();
  std::vector<const char*> names;
  std::vector<std::size_t> sizes;
  names.reserve(n);
  sizes.reserve(n);
  for (const std::string_view key : keys) {
    names.push_back(key.data());
    sizes.push_back(key.size());
  }
  std::vector<rocksdb_pinnableslice_t*> values(n);
  std::vector<char*> errors(n);
  rocksdb_batched_multi_get_cf(database_.get(), read_.get(), column_.get(), n, names.data(),
                               sizes.data(), values.data(), errors.data(), false);
  const std::vector<PinnedValue> owned(values.begin(), values.end());
  std::vector<ErrorText> texts(errors.begin(), errors.end());
  for (ErrorText& text : texts) {
    check(text.release(), "read");
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (owned[i] != nullptr) {
      found(i, text_of_value(owned[i]));
    }
  }
}

void RocksDbDatabase::write(const RocksDbChanges& changes) {
  char* error = nullptr;
  rocksdb_write(database_.get(), write_.get(), changes.batch_.get(), &error);
  check(error, "write");
}

void RocksDbDatabase::erase(std::string_view first, std::string_view end) {
  char* error = nullptr;
  rocksdb_delete_range_cf(database_.get(), write_.get(), column_.get(), first.data(), first.size(),
                          end.data(), end.size(), &error);
  check(error, "write");
}

void RocksDbDatabase::scan(
    std::string_view first, std::string_view end,
    const std::function<bool(std::string_view key, std::string_view value)>& visit) const {
  const RocksDbOwned<rocksdb_readoptions_t> options(rocksdb_readoptions_create());
  if (!end.empty()) {
    rocksdb_readoptions_set_iterate_upper_bound(options.get(), end.data(), end.size());
  }
  rocksdb_readoptions_set_fill_cache(options.get(), 0);
  const Cursor at(rocksdb_create_iterator(database_.get(), options.get()));
  bool more = true;
  for (rocksdb_iter_seek(at.get(), first.data(), first.size());
       more && rocksdb_iter_valid(at.get()) != 0; rocksdb_iter_next(at.get())) {
    std::size_t key_bytes = 0, value_bytes = 0;
    const char* key = rocksdb_iter_key(at.get(), &key_bytes);
    const char* value = rocksdb_iter_value(at.get(), &value_bytes);
    more = visit({key, key_bytes}, {value, value_bytes});
  }
  char* error = nullptr;
  rocksdb_iter_get_error(at.get(), &error);
  check(error, "read");
}

void RocksDbDatabase::destroy_other(const std::string& folder) const {
  char* error = nullptr;
  rocksdb_destroy_db(database_options().get(), folder.c_str(), &error);
  check(error, "remove " + folder + " for");
}

void RocksDbDatabase::check(char* error, const std::string& what) const {
  if (error == nullptr) {
    return;
  }
  const ErrorText owned(error);
  const std::string text = error;
  fail(text.starts_with("Corruption") ? Kind::corrupt_data : Kind::io,
       "{}: expected to {} the store: found {}", place_, what, text);
}

}  // namespace keyshard
