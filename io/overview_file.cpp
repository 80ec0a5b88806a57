#include "io/overview_file.hpp"

#include <vector>

#include "io/dataset_places.hpp"
#include "io/hdf5_file.hpp"
#include "io/shard_batch.hpp"

namespace keyshard {

void write_overview(const std::string& path, const Manifest& manifest) {
  Hdf5File file = Hdf5File::create(path);
  file.set_integer("/", "step", manifest.step);
  for (const ManifestTable& table : manifest.tables) {
    std::vector<std::int64_t> begins{0};
    for (const std::int64_t rows : table.rows_of({0, table.shards})) {
      begins.push_back(begins.back() + rows);
    }
    const std::string& name = table.shape.name;
    const ShardOwners writers = table.writers(manifest.ranks);
    file.write(table_dataset(name, "shard_begin"), ElementType::i64,
               {static_cast<std::int64_t>(begins.size())}, begins.data());
    file.set_text("/tables/" + hdf5_part(name), "name", name);
    for (const ColumnShape& column : file_columns(table.shape)) {
      std::vector<Hdf5Source> sources;
      for (std::int64_t run = 0; run < writers.runs(); ++run) {
        sources.push_back({rank_file_name(writers.rank_of_run(run), manifest.ranks),
                           table_dataset(name, column.name),
                           table.rows_in(writers.shards_of_run(run))});
      }
      file.create_virtual(table_dataset(name, column.name), column.type,
                          file_shape(column, begins.back()), sources);
    }
  }
  for (const ManifestDense& dense : manifest.dense) {
    const std::string name = dense_dataset(dense.name);
    file.create_virtual(name, dense.type, dense.shape,
                        {{rank_file_name(0, manifest.ranks), name, dense.shape[0]}});
  }
  file.close();
}

}  // namespace keyshard
