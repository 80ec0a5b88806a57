// The bodies of saving and loading tables.
#pragma once

#include <algorithm>

#include "collectives/vote.hpp"
#include "io/checkpoint_folder.hpp"
#include "launch/training/optimizer_clocks.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
template <Backend B>
TableShape shape_of(const Table<B>& table) {
  TableShape shape{table.options().name, {}, saved_options(table.options())};
  for (const RowColumn& column : table.columns()) {
    shape.columns.push_back(
        {column.name, column.is_status ? ElementType::u32 : ElementType::f32, column.width});
  }
  return shape;
}

template <Backend B>
TableSource source_of(const Table<B>& table) {
  TableSource source;
  source.shape = shape_of(table);
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    source.rows.push_back(table.shard_size(shard));
  }
  source.copy = [&table](std::int64_t shard, Span<Key> keys,
                         const std::vector<std::byte*>& columns) {
    const ShardRows rows = table.shard_rows(shard);
    std::copy(rows.keys.begin(), rows.keys.end(), keys.begin());
    const std::vector<RowColumn> places = table.columns();
    for (std::size_t c = 0; c < places.size(); ++c) {
      table.copy_column(rows.rows, places[c], reinterpret_cast<float*>(columns[c]));
    }
  };
  return source;
}

template <Backend B>
void load_table(CheckpointReader& reader, Table<B>& table) {
  reader.read_table(table.options().name, [&](std::int64_t shard, Span<const Key> keys,
                                              const std::vector<const std::byte*>& columns) {
    std::vector<const float*> floats;
    for (const std::byte* column : columns) {
      floats.push_back(reinterpret_cast<const float*>(column));
    }
    table.load_shard(shard, keys, floats);
  });
}

template <Backend B>
std::vector<TableSource> table_sources(const TableSet<B>& tables) {
  std::vector<TableSource> sources;
  for (const auto& table : tables.tables()) {
    sources.push_back(source_of(*table));
  }
  return sources;
}

template <Backend B>
void check_tables(const std::string& path, const Manifest& manifest, const TableSet<B>& tables) {
  const auto& own = tables.tables();
  require(manifest.tables.size() == own.size(), Kind::corrupt_data,
          "{}: expected {} tables of this job: found {}", path, own.size(), manifest.tables.size());
  for (std::size_t t = 0; t < own.size(); ++t) {
    const TableShape mine = shape_of(*own[t]);
    const ManifestTable& saved = manifest.tables[t];
    require_saved(path, "table", mine.name, saved.shape.name);
    require(mine.columns == saved.shape.columns && saved.shards() == kShards, Kind::corrupt_data,
            "{}: table {}: expected the columns of this job: found others; was the model, dim or "
            "optimizer changed?",
            path, mine.name);
    require_saved(path, "options of table " + mine.name, json_text(mine.options),
                  json_text(saved.shape.options));
    require(own[t]->size() == 0, Kind::invalid_argument,
            "{}: table {}: expected a table without rows to load into: found {} rows", path,
            mine.name, own[t]->size());
  }
}

template <Backend B>
void load_rows(CheckpointReader& reader, TableSet<B>& tables) {
  for (const auto& table : tables.tables()) {
    load_table(reader, *table);
  }
}

template <Backend B>
std::string save_tables(const std::string& folder, TableSet<B>& tables, Stream<B>& stream,
                        const TableSaveOptions& options) {
  LocalFileSystem files;
  CheckpointContent content;
  content.step = options.step;
  content.shards = kShards;
  content.config = value_of(SettingValue::Table{});
  content.state = value_of(SettingValue::Table{{"table_clocks", clocks_value(clocks_of(tables))},
                                               {"program", options.state}});
  content.tables = table_sources(tables);
  content.dense = options.dense;
  CheckpointWriter writer(files, folder, host_of(tables.communicator()), host_of(stream));
  writer.save(content, options.retention);
  return folder + "/" + step_name(options.step);
}

template <Backend B>
TableLoad load_tables(const std::string& path, TableSet<B>& tables, Stream<B>& stream) {
  LocalFileSystem files;
  CheckpointReader reader(files, path, host_of(tables.communicator()), host_of(stream));
  const Manifest& manifest = reader.manifest();
  const ValueReader state(manifest.state, path + ": state");
  TableLoad load;
  vote(host_of(tables.communicator()), [&] {
    check_tables(path, manifest, tables);
    check_clocks(state.at("table_clocks"), clocks_of(tables));
    load.step = manifest.step;
    load.state = state.at("program").value();
  });
  for (const ManifestDense& part : manifest.dense) {
    load.dense.emplace(part.name, reader.read_dense(part.name));
  }
  load_rows(reader, tables);
  restore_clocks(state.at("table_clocks"), clocks_of(tables));
  return load;
}

}  // namespace keyshard
