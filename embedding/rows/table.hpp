// The rows of one table that a rank owns: key index, row store, and the optimizer of each column
// group. A lookup never creates a row; the first optimizer step that touches a key does. Gradients
// of several calls in a step are kept and summed per key in the order of the calls, and each key
// gets one optimizer step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "embedding/rows/key_index.hpp"
#include "embedding/rows/row_layout.hpp"
#include "embedding/rows/row_store.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// The gradients of one call: a sum per distinct key.
template <Backend B>
struct RowGradients {
  Buffer<Key, B> keys;                       ///< [n], distinct, all owned by this rank
  Buffer<RowId, B> rows;                     ///< [n], kNoRow for keys without a row
  std::shared_ptr<Buffer<float, B>> floats;  ///< of the sums; tables may share it
  std::int64_t first = 0;                    ///< where those of this call start in it
  Buffer<std::uint32_t, B>
      occurrences;  ///< [n] ids of the global batch that the sums are over; may be empty

  std::int64_t size() const { return keys.size(); }

  /// [n x dim of the table]
  float* values() { return floats->data() + first; }

  const float* values() const { return floats->data() + first; }
};

/// What a step is, for its update.
struct UpdateContext {
  float learning_rate_scale = 1;   ///< factor of the schedule
  std::int64_t valid_samples = 1;  ///< of the global batch, for L2 per occurrence
};

/// The content of one shard, sorted by key: for checkpoints and digests.
struct ShardRows {
  std::vector<Key> keys;
  std::vector<RowId> rows;
};

template <Backend B>
class Table {
 public:
  /// The rows of `shards` of a table. Throws Error{invalid_argument} for bad options.
  Table(TableOptions options, Range shards);

  const TableOptions& options() const noexcept { return options_; }

  /// Tells the table that a feature reads it, for the messages of its errors.
  void add_reader(const std::string& feature);

  const Partitioner& partitioner() const noexcept { return partitioner_; }

  const RowLayout& layout() const noexcept { return layout_; }

  Range shards() const noexcept { return index_.shards(); }

  /// Rows of this rank.
  std::int64_t size() const noexcept { return index_.size(); }

  /// Bytes of index and rows.
  std::size_t bytes() const noexcept { return index_.bytes() + store_.bytes(); }

  /// rows[i] = the row of keys[i], or kNoRow.
  void find(Stream<B>& stream, Span<const Key> keys, RowId* rows) const;

  /// The same; a key without a row gets one with its initial values and state. Keys are owned by
  /// this rank and may come several times.
  void find_or_insert(Stream<B>& stream, Span<const Key> keys, RowId* rows);

  /// out [n x layout().dim] = the values of the rows; an absent key reads as its initial value, or
  /// as zeros where `inference` and the options say so.
  void read(Stream<B>& stream, Span<const Key> keys, const RowId* rows, bool inference,
            float* out) const;

  /// out[i] = where the values of keys[i] lie, without a copy: in the table, until its next step;
  /// or in the buffer that comes back, which has those of absent keys as `read` gives them.
  Buffer<float, B> locate(Stream<B>& stream, Span<const Key> keys, const RowId* rows,
                          bool inference, const float** out) const;

  /// Keeps the gradients of a call until `apply`.
  void add(RowGradients<B> gradients);

  /// Makes one optimizer step on the keys of all calls since the last one; creates missing rows.
  /// Every rank calls it in every step, also without gradients, for the step is counted. Throws
  /// Error{non_finite} naming the table, its readers and a key before any row of this rank has
  /// changed.
  void apply(Stream<B>& stream, const UpdateContext& context);

  /// Sets rows: values [n x layout().dim], state back to initial. Keys are distinct and owned by
  /// this rank.
  void assign(Stream<B>& stream, Span<const Key> keys, const float* values);

  // Contents, shard by shard: what checkpoints and digests are made of.

  std::vector<RowColumn> columns() const { return row_columns(options_.groups, layout_); }

  /// Rows of a shard of this rank.
  std::int64_t shard_size(std::int64_t shard) const { return index_.segment(shard).size; }

  ShardRows shard_rows(std::int64_t shard) const;
  /// out [rows.size() x column.width] = that column of the rows.
  void copy_column(Span<const RowId> rows, const RowColumn& column, float* out) const;
  /// Adds the rows of a shard to an empty one: keys sorted; columns as `columns()` has them, each
  /// [keys.size() x width]. Threads may load different shards.
  void load_shard(std::int64_t shard, Span<const Key> keys,
                  const std::vector<const float*>& columns);

  std::vector<OptimizerClock>& clocks() noexcept { return clocks_; }

 private:
  RowGradients<B> merge_calls(Stream<B>& stream);
  void check_finite(Stream<B>& stream, const RowGradients<B>& gradients) const;
  void insert_missing(Stream<B>& stream, Span<const Key> keys, RowId* rows);
  void initialize(Stream<B>& stream, Span<const Key> keys, const RowId* rows);
  void update_rows(Stream<B>& stream, RowGradients<B>& gradients, const UpdateContext& context);

  TableOptions options_;
  std::vector<std::string> readers_;
  Partitioner partitioner_;
  RowLayout layout_;
  KeyIndex index_;
  RowStore store_;
  std::vector<OptimizerClock> clocks_;  // one per group
  std::vector<RowGradients<B>> calls_;
};

}  // namespace keyshard
