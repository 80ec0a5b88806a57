// What the data of a job looks like: files, the syntax of a line, and what each column is. Read
// from [data].
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/data_reader.hpp"
#include "runtime/settings.hpp"
#include "runtime/text_keys.hpp"

namespace keyshard {

enum class DataFormat { text, packed, generated };
enum class Split { train, valid, test };

const char* name_of(Split split);
const char* name_of(ReadOrder order);

enum class ColumnRole { label, weight, dense, id, ids, id_weights, mask, ignore };
enum class DenseTransform { none, log, standard };

/// One column of [[data.columns]].
struct ColumnOptions {
  std::string name;
  std::int64_t index = -1;  ///< 0-based; -1: found by name in the header
  ColumnRole role = ColumnRole::ignore;

  /// Cells that are missing, in place of those of all columns.
  std::optional<std::vector<std::string>> missing;

  /// Of a label: cells that count as 1, all others as 0 or as bad lines; empty: the number itself.
  std::vector<std::string> positive;

  /// log: sign(x) log(1 + |x|); standard: (x - mean) / stddev.
  DenseTransform transform = DenseTransform::none;
  double mean = 0;
  double stddev = 1;
  double fill = 0;  ///< what a missing number reads as, after the transform
  /// Of a dense column: ascending boundaries. The column becomes an id, the number of boundaries
  /// <= x.
  std::vector<double> buckets;

  /// Of ids: whole numbers of 64 bits, signed or unsigned; else strings, hashed.
  bool integer = false;
  TextHash hash = TextHash::xxh3;  ///< of strings
  bool missing_is_id = false;      ///< ids: missing text is an id of its own; else it is no id
  std::string list_separator;      ///< roles ids, id_weights, mask: between the items of a cell
  std::int64_t max_length = 0;     ///< role ids: ids beyond it are dropped; 0: no limit
  std::string key_space;   ///< ids: the table; equal strings of one key space are equal keys
  std::string id_weights;  ///< ids: the column with a weight for each id; empty: none
  std::string mask;        ///< ids: the column that says which ids count; empty: all do
  std::optional<std::string> padding;  ///< the text of an id that is in no bag

  bool has_ids() const { return role == ColumnRole::id || role == ColumnRole::ids; }

  bool is_feature() const { return has_ids() || !buckets.empty(); }

  /// Whether the items of the column go with the ids of another column.
  bool goes_with_ids() const { return role == ColumnRole::id_weights || role == ColumnRole::mask; }

  /// The key of `padding`; nothing where there is none, or where it is no integer and ids are.
  std::optional<Key> padding_key() const;
};

/// A planted click log (generated_reader.hpp).
struct GeneratorOptions {
  std::int64_t records = 300'000;  ///< of the train split
  std::int64_t valid_records = 60'000;
  std::int64_t features = 26;
  std::int64_t ragged = 0;  ///< the last features hold a list of 0 to 8 ids
  std::int64_t dense = 13;
  std::int64_t vocabulary = 500;  ///< ids of a feature
  double zipf = 1.05;
  std::uint64_t seed = 1;
};

/// The shares of the records of the training files that are validation and test data, by a hash
/// (record_split.hpp).
struct SplitOptions {
  double valid = 0;
  double test = 0;
  std::vector<std::string> by;  ///< records with equal cells in these columns stay together
  std::uint64_t seed = 0;       ///< another seed is another choice

  double share(Split split) const {
    return split == Split::valid ? valid : split == Split::test ? test : 1 - valid - test;
  }

  bool active() const { return valid > 0 || test > 0; }
};

/// The labels that a loss can use.
struct LabelRange {
  float least = -std::numeric_limits<float>::infinity();
  float most = std::numeric_limits<float>::infinity();
  std::string reason;  ///< what needs them, for messages: "log loss"

  bool has(float label) const noexcept { return label >= least && label <= most; }
};

struct DataOptions {
  DataFormat format = DataFormat::text;
  /// Paths of the files; read_data_options has resolved them against the configuration's folder.
  std::vector<std::string> train, valid, test;
  /// By split: files that a pattern or folder has, and that are no data (data_files.hpp).
  std::vector<std::vector<std::string>> markers_by_split = std::vector<std::vector<std::string>>(3);
  SplitOptions split;
  std::string separator = ",";
  bool header = false;
  bool trim = false;            ///< spaces and tabs around cells
  bool quote = false;           ///< cells in double quotes may hold separators
  std::int64_t skip_lines = 0;  ///< at the start of every file, before the header
  /// By split, in place of skip_lines; -1: skip_lines holds.
  std::vector<std::int64_t> skip_lines_by_split{-1, -1, -1};
  std::vector<std::string> missing{""};
  std::int64_t max_bad_lines = 0;
  ReadOrder order = ReadOrder::automatic;
  /// By split: in a job that was resumed, the order that was chosen when the job first started;
  /// automatic: `order` holds.
  std::vector<ReadOrder> order_by_split = std::vector<ReadOrder>(3);
  std::int64_t window = 32'768;
  bool shuffle = true;
  /// Compressed files of a split that unpack to this much in all, or less, are read from memory.
  std::int64_t memory_bytes = std::int64_t{1} << 30;
  std::int64_t block_bytes = std::int64_t{4} << 20;
  std::string index_folder;  ///< where the indices of text files are kept; empty: nowhere
  /// false: records are scored, and their labels may be absent or empty. Where columns have an
  /// index, a record with one cell fewer than the configuration describes lacks that of the label.
  bool needs_labels = true;
  /// Columns whose cells come with a batch as they stand in the text: configured, or in the header.
  std::vector<std::string> keep;
  std::vector<ColumnOptions> columns;
  /// Samples with other labels are bad lines, and make a packed file unfit.
  LabelRange labels;
  GeneratorOptions generator;

  /// The split whose files hold the records of a split: that of training for a share of them.
  Split source(Split of) const {
    return of != Split::train && split.active() && split.share(of) > 0 ? Split::train : of;
  }

  /// Whether only some of the records of its files are in a split.
  bool is_share(Split of) const { return split.active() && source(of) == Split::train; }

  const std::vector<std::string>& files(Split of) const {
    const Split from = source(of);
    return from == Split::train ? train : from == Split::valid ? valid : test;
  }

  std::int64_t skipped(Split of) const {
    const std::int64_t own = skip_lines_by_split[static_cast<std::size_t>(source(of))];
    return own >= 0 ? own : skip_lines;
  }

  const std::vector<std::string>& missing_of(const ColumnOptions& column) const {
    return column.missing ? *column.missing : missing;
  }

  bool is_missing(const ColumnOptions& column, std::string_view cell) const {
    const std::vector<std::string>& texts = missing_of(column);
    return std::find(texts.begin(), texts.end(), cell) != texts.end();
  }

  ReadOrder order_of(Split of) const {
    const ReadOrder resolved = order_by_split[static_cast<std::size_t>(of)];
    return resolved == ReadOrder::automatic ? order : resolved;
  }

  /// Dense columns and features in the order of the columns.
  DataSchema schema() const;
};

/// Reads [data]. Relative paths are taken from data.folder, and that one from `folder`. `foreign`
/// are keys of a column that are legal here but read elsewhere.
DataOptions read_data_options(Settings settings, const std::string& folder,
                              const std::vector<std::string>& foreign);

}  // namespace keyshard
