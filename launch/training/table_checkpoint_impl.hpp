// The bodies of saving and loading tables.
#pragma once

#include <algorithm>

#include "collectives/vote.hpp"
#include "embedding/rows/staging.hpp"
#include "io/checkpoint_folder.hpp"
#include "launch/training/optimizer_clocks.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {

/// The type of the numbers of a column in files.
inline ElementType element_type(const RowColumn& column) {
  switch (column.dtype) {
    case ValueDtype::float16:
      return ElementType::f16;
    case ValueDtype::bfloat16:
      return ElementType::bf16;
    case ValueDtype::float64:
      return ElementType::f64;
    case ValueDtype::int8:
      return ElementType::i8;
    case ValueDtype::int32:
      return ElementType::i32;
    case ValueDtype::int64:
      return ElementType::i64;
    case ValueDtype::float32:
      break;
  }
  return column.is_status ? ElementType::u32 : ElementType::f32;
}

template <Backend B>
TableShape shape_of(const Table<B>& table) {
  TableShape shape{table.options().name, {}, saved_options(table.options())};
  for (const RowColumn& column : table.columns()) {
    shape.columns.push_back({column.name, element_type(column), column.width});
  }
  return shape;
}

template <Backend B>
TableSource source_of(const Table<B>& table) {
  TableSource source;
  source.shape = shape_of(table);
  source.owners = table.options().owners;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    source.rows.push_back(table.shard_size(shard));
  }
  source.copy = [&table](std::int64_t shard, Span<Key> keys,
                         const std::vector<std::byte*>& columns) {
    const ShardContent rows = table.shard_content(shard);
    require(
        std::ssize(rows.keys) == keys.size(), Kind::io,
        "table {}: expected {} rows in shard {}, as counted before: found {}; another writer of "
        "the store has written meanwhile",
        table.options().name, keys.size(), shard, rows.keys.size());
    std::copy(rows.keys.begin(), rows.keys.end(), keys.begin());
    const std::vector<RowColumn> places = table.columns();
    for (std::size_t c = 0; c < places.size(); ++c) {
      table.copy_column(rows, places[c], columns[c]);
    }
  };
  return source;
}

/// The name under which the sightings of a table are saved, beside its rows.
inline std::string sightings_name(const std::string& table) { return table + "/sightings"; }

/// What a table with sightings saves of them: a key per row, and its count.
template <Backend B>
TableSource sightings_of(const Table<B>& table) {
  TableSource source;
  source.shape = {sightings_name(table.options().name),
                  {{"count", ElementType::u32, 1}},
                  value_of(SettingValue::Table{})};
  source.owners = table.options().owners;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    source.rows.push_back(
        static_cast<std::int64_t>(table.sightings()->shard_keys(shard).keys.size()));
  }
  source.copy = [&table](std::int64_t shard, Span<Key> keys,
                         const std::vector<std::byte*>& columns) {
    const SightedKeys waiting = table.sightings()->shard_keys(shard);
    std::copy(waiting.keys.begin(), waiting.keys.end(), keys.begin());
    std::copy(waiting.counts.begin(), waiting.counts.end(),
              reinterpret_cast<std::uint32_t*>(columns[0]));
  };
  return source;
}

/// Throws where a key stands in a shard that is not its own, where no lookup would find it.
inline void require_own_keys(const CheckpointReader& reader, const std::string& table,
                             const Partitioner& partitioner, std::int64_t shard,
                             Span<const Key> keys) {
  visit_variant(partitioner, [&](const auto& rule) {
    const auto stranger = std::find_if(keys.begin(), keys.end(), [&](Key key) {
      return static_cast<std::int64_t>(rule.shard(key)) != shard;
    });
    if (stranger != keys.end()) {
      fail(Kind::corrupt_data,
           "{}: table {}, shard {}: expected keys of this shard, by the partitioner {}: found key "
           "{} of shard {}",
           reader.path(), table, shard, name_of(partitioner), *stranger, rule.shard(*stranger));
    }
  });
}

template <Backend B>
void load_table(CheckpointReader& reader, Table<B>& table) {
  using Columns = std::vector<const std::byte*>;
  const std::string& name = table.options().name;
  reader.read_table(name, table.shards(),
                    [&](std::int64_t shard, Span<const Key> keys, const Columns& columns) {
                      require_own_keys(reader, name, table.partitioner(), shard, keys);
                      table.load_shard(shard, keys, {columns.begin(), columns.end()});
                    });
  if (table.sightings() != nullptr) {
    reader.read_table(sightings_name(name), table.shards(),
                      [&](std::int64_t shard, Span<const Key> keys, const Columns& columns) {
                        require_own_keys(reader, sightings_name(name), table.partitioner(), shard,
                                         keys);
                        table.sightings()->load_shard(
                            shard, keys, reinterpret_cast<const std::uint32_t*>(columns[0]));
                      });
  }
}

template <Backend B>
std::vector<TableSource> table_sources(const TableSet<B>& tables) {
  std::vector<TableSource> sources;
  const auto list = [&] {
    for (const auto& table : tables.tables()) {
      sources.push_back(source_of(*table));
      if (table->sightings() != nullptr) {
        sources.push_back(sightings_of(*table));
      }
    }
  };
  if (any_stored(tables.tables())) {
    vote(host_of(tables.communicator()), list);  // stores count their rows, and may fail
  } else {
    list();
  }
  return sources;
}

/// The tables of a checkpoint, without the sightings beside them.
inline std::vector<const ManifestTable*> tables_of(const Manifest& manifest) {
  std::vector<const ManifestTable*> tables;
  for (const ManifestTable& table : manifest.tables) {
    if (tables.empty() || table.shape.name != sightings_name(tables.back()->shape.name)) {
      tables.push_back(&table);
    }
  }
  return tables;
}

/// Throws Error{corrupt_data} where a table was saved with rules of a program that this program has
/// not given to the table, or has others.
inline void require_same_rules(const std::string& path, const std::string& table,
                               const SettingValue& own, const SettingValue& saved) {
  const SettingValue* found = member_of(saved, kOwnRules);
  const std::string mine = json_text(own), theirs = found == nullptr ? "{}" : json_text(*found);
  require(mine == theirs, Kind::corrupt_data,
          "{}: table {}: expected the own rules {} of this program: found {}; a rule of a program "
          "is saved by its name: give the table the rule of that name (kName, own_rules.hpp)",
          path, table, mine, theirs);
}

/// The value dtype with which a table was saved.
inline std::string saved_dtype(const SettingValue& saved) {
  const SettingValue* found = member_of(saved, kValueDtype);
  const auto* name = found == nullptr ? nullptr : std::get_if<std::string>(&found->value);
  return name == nullptr ? option_name(ValueDtype::float32) : *name;
}

template <Backend B>
void check_tables(const std::string& path, const Manifest& manifest, const TableSet<B>& tables) {
  const auto& own = tables.tables();
  const std::vector<const ManifestTable*> all = tables_of(manifest);
  require(all.size() == own.size(), Kind::corrupt_data,
          "{}: expected {} tables of this job: found {}", path, own.size(), all.size());
  for (std::size_t t = 0; t < own.size(); ++t) {
    const TableShape mine = shape_of(*own[t]);
    const ManifestTable& saved = *all[t];
    require_saved(path, "table", mine.name, saved.shape.name);
    require_same_rules(path, mine.name, own_rule_names(own[t]->options()), saved.shape.options);
    require_saved(path, "value_dtype of table " + mine.name,
                  option_name(own[t]->options().value_dtype), saved_dtype(saved.shape.options));
    require(mine.columns == saved.shape.columns && saved.shards == kShards, Kind::corrupt_data,
            "{}: table {}: expected the columns of this job: found others; was the model, dim or "
            "optimizer changed?",
            path, mine.name);
    require_saved(path, "options of table " + mine.name, json_text(mine.options),
                  json_text(saved.shape.options));
    const std::int64_t rows = own[t]->stored() != nullptr ? 0 : own[t]->size();
    require(rows == 0, Kind::invalid_argument,
            "{}: table {}: expected a table without rows to load into: found {} rows", path,
            mine.name, rows);
  }
}

template <Backend B>
FileCheck file_check_of(const TableSet<B>& tables) {
  return any_stored(tables.tables()) ? FileCheck::before : FileCheck::as_read;
}

template <Backend B>
void load_rows(CheckpointReader& reader, TableSet<B>& tables, Stream<B>& stream) {
  if (any_stored(tables.tables())) {
    vote(host_of(tables.communicator()), [&] {
      for (const auto& table : tables.tables()) {
        if (table->stored() != nullptr) {
          empty_store(*table);
        }
      }
    });
  }
  try {
    for (const auto& table : tables.tables()) {
      load_table(reader, *table);
    }
  } catch (const Error&) {
    for (const auto& table : tables.tables()) {
      if (table->stored() == nullptr) {
        table->clear(stream);
      }
    }
    throw;
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
  CheckpointReader reader(files, path, host_of(tables.communicator()), host_of(stream),
                          file_check_of(tables));
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
  load_rows(reader, tables, stream);
  restore_clocks(state.at("table_clocks"), clocks_of(tables));
  return load;
}

}  // namespace keyshard
