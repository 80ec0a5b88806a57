#include "io/data_options.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

#include "io/data_files.hpp"
#include "io/data_keys.hpp"
#include "io/text_number.hpp"

namespace keyshard {
namespace {

constexpr const char* kOrders[] = {"auto", "blocks", "files", "stream"};

/// Records a problem unless a number is finite as the float that it becomes.
void require_float(Settings& settings, const char* key, double value) {
  if (!std::isfinite(static_cast<float>(value))) {
    settings.problem(key,
                     fmt::format("expected a number that is finite as float32: found {}", value));
  }
}

void read_dense(Settings& settings, ColumnOptions& column) {
  column.transform = settings.option("transform", column.transform, {"none", "log", "standard"});
  column.mean = settings.number("mean", 0);
  column.stddev = settings.number("stddev", 1);
  column.fill = settings.number("fill", 0);
  column.buckets = settings.numbers("buckets");
  require_float(settings, "fill", column.fill);
  if (!std::isfinite(column.mean) || !std::isfinite(column.stddev)) {
    settings.problem("mean", "expected mean and stddev to be finite");
  }
  if (!std::is_sorted(column.buckets.begin(), column.buckets.end())) {
    settings.problem("buckets", "expected ascending boundaries");
  }
  if (std::any_of(column.buckets.begin(), column.buckets.end(),
                  [](double boundary) { return std::isnan(boundary); })) {
    settings.problem("buckets", "expected boundaries that are numbers: found nan");
  }
  if (column.stddev == 0) {
    settings.problem("stddev", "expected a number other than 0");
  }
}

void read_separator(Settings& settings, ColumnOptions& column) {
  column.list_separator = settings.text("list_separator", " ");
  if (column.list_separator.empty()) {
    settings.problem("list_separator", "expected at least one character");
  }
}

/// The keys that take ids out of bags, and weigh them.
void read_ids_in_bags(Settings& settings, ColumnOptions& column) {
  if (settings.has("padding_id")) {
    column.padding = column.integer ? std::to_string(settings.integer("padding_id", 0))
                                    : settings.text("padding_id", "");
  }
  if (settings.has("id_weights")) {
    column.id_weights = settings.text("id_weights", "");
  }
  if (settings.has("mask")) {
    column.mask = settings.text("mask", "");
  }
}

/// The key `hash`, which is part of a configuration only where it is given.
void read_hash(Settings& settings, ColumnOptions& column) {
  if (!settings.has("hash")) {
    return;
  }
  column.hash = settings.option("hash", column.hash, text_hash_names());
  if (column.integer) {
    settings.problem("hash",
                     "expected a hash only where type = \"string\": found type = \"integer\"");
  }
}

void read_ids(Settings& settings, ColumnOptions& column) {
  column.integer = settings.choice("type", "string", {"integer", "string"}) == "integer";
  read_hash(settings, column);
  column.missing_is_id = settings.choice("on_missing", "skip", {"skip", "own"}) == "own";
  if (column.role == ColumnRole::ids) {
    read_separator(settings, column);
    column.max_length = settings.integer("max_length", 0, 0);
  }
  read_ids_in_bags(settings, column);
}

ColumnOptions read_column(Settings& settings, bool header,
                          const std::vector<std::string>& foreign) {
  settings.describe(column_keys());
  ColumnOptions column;
  column.name = settings.text("name", "");
  column.index = settings.integer("index", -1, 0);
  column.role =
      settings.option("role", ColumnRole::ignore,
                      {"label", "weight", "dense", "id", "ids", "id_weights", "mask", "ignore"});
  column.key_space = settings.text("table", column.name);
  if (settings.has("missing")) {
    column.missing = settings.texts("missing");
  }
  for (const std::string& key : foreign) {
    settings.allow(key);
  }
  if (column.name.empty()) {
    settings.problem("name", "expected a name for every column");
  }
  if (column.name.find('\0') != std::string::npos) {
    settings.problem("name", "expected a name without NUL characters");
  }
  if (column.index < 0 && !header) {
    settings.problem("index",
                     fmt::format("expected an index for column \"{}\", for the data has no header",
                                 column.name));
  }
  if (column.role == ColumnRole::label) {
    column.positive = settings.texts("positive");
  } else if (column.role == ColumnRole::dense) {
    read_dense(settings, column);
  } else if (column.has_ids()) {
    read_ids(settings, column);
  } else if (column.goes_with_ids()) {
    read_separator(settings, column);
  }
  settings.finish();
  return column;
}

void check_columns(Settings& settings, const DataOptions& options) {
  std::int64_t labels = 0;
  std::int64_t weights = 0;
  std::map<std::string_view, std::int64_t> counts;  // of names
  for (const ColumnOptions& column : options.columns) {
    ++counts[column.name];
  }
  for (const ColumnOptions& column : options.columns) {
    labels += column.role == ColumnRole::label;
    weights += column.role == ColumnRole::weight;
    const std::int64_t same = counts[column.name];
    if (same > 1) {
      settings.problem(
          "columns",
          fmt::format("expected different names: found column \"{}\" {} times", column.name, same));
      return;
    }
  }
  if (labels != 1) {
    settings.problem("columns",
                     fmt::format("expected one column with role \"label\": found {}", labels));
  }
  if (weights > 1) {
    settings.problem(
        "columns",
        fmt::format("expected at most one column with role \"weight\": found {}", weights));
  }
}

/// Checks that `key` of a column of ids names a column of that role.
void check_beside(Settings& settings, const char* key, const std::string& name, ColumnRole role,
                  const std::vector<ColumnOptions>& columns) {
  if (!settings.has(key)) {
    return;
  }
  std::vector<std::string> legal;
  for (const ColumnOptions& other : columns) {
    if (other.role == role) {
      legal.push_back(other.name);
    }
  }
  if (std::find(legal.begin(), legal.end(), name) == legal.end()) {
    settings.problem(key, fmt::format("expected the name of a column with role \"{}\": found "
                                      "\"{}\"{}",
                                      key, name, did_you_mean(name, legal)));
  }
}

/// Checks the columns whose items go with ids: a column of ids names each of them.
void check_all_beside(std::vector<Settings>& tables, const std::vector<ColumnOptions>& columns) {
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const ColumnOptions& column = columns[c];
    if (column.has_ids()) {
      check_beside(tables[c], "id_weights", column.id_weights, ColumnRole::id_weights, columns);
      check_beside(tables[c], "mask", column.mask, ColumnRole::mask, columns);
    }
    const bool is_mask = column.role == ColumnRole::mask;
    const auto names = [&](const ColumnOptions& other) {
      return (is_mask ? other.mask : other.id_weights) == column.name;
    };
    if (column.goes_with_ids() && std::none_of(columns.begin(), columns.end(), names)) {
      const char* key = is_mask ? "mask" : "id_weights";
      tables[c].problem("role", fmt::format("expected a column of ids with {} = \"{}\": found none",
                                            key, column.name));
    }
  }
}

/// Checks that a string has one key in all columns that read one table.
void check_hashes(std::vector<Settings>& tables, const std::vector<ColumnOptions>& columns) {
  const auto has_strings = [](const ColumnOptions& column) {
    return column.has_ids() && !column.integer;
  };
  std::map<std::string_view, const ColumnOptions*> first_of_table;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (!has_strings(columns[c])) {
      continue;
    }
    const ColumnOptions* first =
        first_of_table.emplace(columns[c].key_space, &columns[c]).first->second;
    if (first->hash != columns[c].hash) {
      const auto name = [](TextHash hash) {
        return text_hash_names()[static_cast<std::size_t>(hash)];
      };
      tables[c].problem("hash", fmt::format("expected hash = \"{}\" as column \"{}\" has it, which "
                                            "reads the same table {}: found \"{}\"",
                                            name(first->hash), first->name, first->key_space,
                                            name(columns[c].hash)));
    }
  }
}

void check_columns_of_ids(std::vector<Settings>& tables,
                          const std::vector<ColumnOptions>& columns) {
  check_all_beside(tables, columns);
  check_hashes(tables, columns);
}

/// Reads the files of all splits.
void read_files(Settings& settings, const std::string& folder, DataOptions& options) {
  std::vector<std::string>* const lists[] = {&options.train, &options.valid, &options.test};
  const std::filesystem::path own = std::filesystem::path(folder) / settings.text("folder", "");
  for (const Split split : {Split::train, Split::valid, Split::test}) {
    const auto s = static_cast<std::size_t>(split);
    DataFiles found = read_data_files(settings, name_of(split), own.string());
    *lists[s] = std::move(found.files);
    options.markers_by_split[s] = std::move(found.markers);
  }
}

/// Reads data.split, after the files.
void read_split(Settings settings, DataOptions& options) {
  settings.describe(split_keys());
  SplitOptions& split = options.split;
  split.valid = settings.number("valid", 0, 0, 1);
  split.test = settings.number("test", 0, 0, 1);
  split.by = settings.texts("by");
  split.seed = static_cast<std::uint64_t>(settings.integer("seed", 0));
  settings.finish();
  if (split.valid + split.test >= 1) {
    settings.problem("valid", fmt::format("expected shares that leave records to train on: found "
                                          "valid = {} and test = {}",
                                          split.valid, split.test));
  }
  for (const auto& [key, share, files] :
       {std::tuple("valid", split.valid, &options.valid), {"test", split.test, &options.test}}) {
    if (share > 0 && !files->empty()) {
      settings.problem(key, fmt::format("expected files in data.{} or a share of those in "
                                        "data.train: found both",
                                        key));
    }
  }
  if (split.active() && options.format != DataFormat::text) {
    settings.problem("valid",
                     "expected data.format = \"text\": packed files hold what `keyshard convert` "
                     "has split, a file of each split");
  }
}

/// Reads how lines are cut into cells.
void read_syntax(Settings& settings, DataOptions& options) {
  options.separator = settings.text("separator", options.separator);
  options.header = settings.flag("header", options.header);
  options.trim = settings.flag("trim", options.trim);
  options.quote = settings.flag("quote", options.quote);
  options.skip_lines = settings.integer("skip_lines", options.skip_lines, 0);
  options.skip_lines_by_split = {settings.integer("train_skip_lines", -1, 0),
                                 settings.integer("valid_skip_lines", -1, 0),
                                 settings.integer("test_skip_lines", -1, 0)};
  options.missing = settings.texts("missing", options.missing);
}

GeneratorOptions read_generator(Settings settings) {
  settings.describe(generator_keys());
  GeneratorOptions g;
  g.records = settings.integer("records", g.records, 1);
  g.valid_records = settings.integer("valid_records", g.valid_records, 1);
  g.features = settings.integer("features", g.features, 1, 10'000);
  g.ragged = settings.integer("ragged", g.ragged, 0, g.features);
  g.dense = settings.integer("dense", g.dense, 0, 10'000);
  g.vocabulary = settings.integer("vocabulary", g.vocabulary, 1, std::int64_t{1} << 31);
  g.zipf = settings.number("zipf", g.zipf, 0, 10);
  g.seed = static_cast<std::uint64_t>(settings.integer("seed", static_cast<std::int64_t>(g.seed)));
  settings.finish();
  return g;
}

}  // namespace

const char* name_of(Split split) {
  static constexpr const char* kNames[] = {"train", "valid", "test"};
  return kNames[static_cast<std::size_t>(split)];
}

const char* name_of(ReadOrder order) { return kOrders[static_cast<std::size_t>(order)]; }

std::optional<Key> ColumnOptions::padding_key() const {
  if (!padding) {
    return std::nullopt;
  }
  return integer ? parse_integer(*padding) : TextKeys(key_space, hash)(*padding);
}

DataSchema DataOptions::schema() const {
  DataSchema schema;
  if (format == DataFormat::generated) {
    for (std::int64_t i = 0; i < generator.dense; ++i) {
      schema.dense.push_back(fmt::format("I{}", i + 1));
    }
    for (std::int64_t i = 0; i < generator.features; ++i) {
      schema.features.push_back(fmt::format("C{}", i + 1));
    }
    return schema;
  }
  for (const ColumnOptions& column : columns) {
    schema.weighted |= column.role == ColumnRole::weight;
    if (column.is_feature()) {
      schema.features.push_back(column.name);
      if (!column.id_weights.empty()) {
        schema.weighted_features.push_back(column.name);
      }
      if (!column.mask.empty()) {
        schema.masked_features.push_back(column.name);
      }
    } else if (column.role == ColumnRole::dense) {
      schema.dense.push_back(column.name);
    }
  }
  return schema;
}

DataOptions read_data_options(Settings settings, const std::string& folder,
                              const std::vector<std::string>& foreign) {
  settings.describe(data_keys());
  DataOptions options;
  options.format = settings.option("format", options.format, {"text", "packed", "generated"});
  read_files(settings, folder, options);
  if (settings.has("split")) {  // else no key of the configuration
    read_split(settings.table("split"), options);
  }
  read_syntax(settings, options);
  options.max_bad_lines = settings.integer("max_bad_lines", options.max_bad_lines, 0);
  options.order = settings.option("order", options.order, {std::begin(kOrders), std::end(kOrders)});
  options.window = settings.integer("window", options.window, 1, std::int64_t{1} << 31);
  options.shuffle = settings.flag("shuffle", options.shuffle);
  options.memory_bytes = settings.integer("memory_bytes", options.memory_bytes, 0);
  options.block_bytes =
      settings.integer("block_bytes", options.block_bytes, 64, std::int64_t{1} << 30);
  options.generator = read_generator(settings.table("generator"));
  std::vector<Settings> columns = settings.tables("columns");
  for (Settings& column : columns) {
    options.columns.push_back(read_column(column, options.header, foreign));
  }
  check_columns_of_ids(columns, options.columns);
  if (options.separator.empty()) {
    settings.problem("separator", "expected at least one character");
  }
  if (options.format == DataFormat::text) {
    check_columns(settings, options);
  }
  if (options.format != DataFormat::generated && options.train.empty()) {
    settings.problem("train", "expected at least one file");
  }
  settings.finish();
  return options;
}

}  // namespace keyshard
