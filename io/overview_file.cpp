#include "io/overview_file.hpp"

#include <vector>

#include "io/dataset_places.hpp"
#include "io/hdf5_file.hpp"
#include "io/rank_file.hpp"
#include "io/shard_batch.hpp"

namespace keyshard {
namespace {

/// The rows of a table that a file has.
struct RowsOfFile {
  std::string file;
  std::int64_t rows;
};

/// The files that have rows of a table, in the order of shards; without rows, one of its files.
std::vector<RowsOfFile> files_with_rows(const Manifest& manifest, const ManifestTable& table) {
  const ShardOwners writers = table.writers(manifest.ranks);
  std::vector<RowsOfFile> files;
  for (std::int64_t run = 0; run < writers.runs(); ++run) {
    const std::int64_t rows = table.rows_in(writers.shards_of_run(run));
    if (rows > 0 || (files.empty() && run + 1 == writers.runs())) {
      files.push_back({rank_file_name(writers.rank_of_run(run), manifest.ranks), rows});
    }
  }
  return files;
}

/// Links to all datasets of a table in the file that has its rows: a virtual dataset would cost
/// five times the time and the bytes.
void link_table(Hdf5File& file, const TableShape& table, const RowsOfFile& from) {
  std::vector<std::string> names{"shards", "shard_begin"};
  for (const ColumnShape& column : file_columns(table)) {
    names.push_back(column.name);
  }
  for (const std::string& name : names) {
    const std::string dataset = table_dataset(table.name, name);
    file.create_link(dataset, {from.file, dataset, from.rows});
  }
}

/// Makes virtual datasets of the rows of several files.
void map_table(Hdf5File& file, const ManifestTable& table, const std::vector<RowsOfFile>& from) {
  write_shards(file, table, 0);
  const std::int64_t rows = table.rows_in({0, table.shards});
  for (const ColumnShape& column : file_columns(table.shape)) {
    const std::string dataset = table_dataset(table.shape.name, column.name);
    std::vector<Hdf5Source> sources;
    for (const RowsOfFile& part : from) {
      sources.push_back({part.file, dataset, part.rows});
    }
    file.create_virtual(dataset, column.type, file_shape(column, rows), sources);
  }
}

}  // namespace

void write_overview(const std::string& path, const Manifest& manifest) {
  Hdf5File file = Hdf5File::create(path);
  file.set_integer("/", "step", manifest.step);
  for (const ManifestTable& table : manifest.tables) {
    const std::vector<RowsOfFile> from = files_with_rows(manifest, table);
    if (from.size() == 1) {
      link_table(file, table.shape, from.front());
    } else {
      map_table(file, table, from);
    }
    write_name(file, table.shape.name);
  }
  for (const ManifestDense& dense : manifest.dense) {
    const std::string name = dense_dataset(dense.name);
    file.create_link(name, {rank_file_name(0, manifest.ranks), name, dense.shape[0]});
  }
  file.close();
}

}  // namespace keyshard
