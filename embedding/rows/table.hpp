// The rows of one table that a rank owns: key index, row store, and the optimizer of each column
// group. A lookup never creates a row; the first optimizer step that touches a key does. Gradients
// of several calls in a step are kept and summed per key in the order of the calls, and each key
// gets one optimizer step. What is done to the rows of several tables at once stands in
// rows/row_stages.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embedding/rows/key_changes.hpp"
#include "embedding/rows/key_index.hpp"
#include "embedding/rows/row_layout.hpp"
#include "embedding/rows/row_store.hpp"
#include "embedding/rows/shard_rows.hpp"
#include "embedding/rows/sightings.hpp"
#include "embedding/rows/stored_rows.hpp"
#include "embedding/rows/table_options.hpp"
#include "embedding/rows/table_ref.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/buffer.hpp"

namespace keyshard {

/// The gradients of one call: a sum per distinct key. Keys, rows, values and occurrences lie on the
/// device and are borrowed; `keep` owns their memory, and tables of one call may share it. The step
/// changes rows and values.
template <Backend B>
struct RowGradients {
  std::int64_t size = 0;
  const Key* keys = nullptr;                   ///< [size], distinct, all owned by this rank
  RowId* rows = nullptr;                       ///< [size], kNoRow for keys without a row
  float* values = nullptr;                     ///< [size x layout().width of the table]
  const std::uint32_t* occurrences = nullptr;  ///< [size] ids of the global batch that each sum is
                                               ///< over; null: not counted
  std::int64_t steps = 0;                      ///< Table::steps when the rows were found
  bool finite = false;  ///< all values are known to be finite; else the step checks them
  std::vector<std::shared_ptr<const void>> keep;
};

/// What the update of a step needs to know of the step.
struct UpdateContext {
  double learning_rate_scale = 1;  ///< factor of the schedule
  std::int64_t valid_samples = 1;  ///< of the global batch, for L2 per occurrence
};

/// Rows that a program has read and changed by itself. Keys are distinct and owned by this rank;
/// all lie on the device.
struct ChangedRows {
  Span<const Key> keys;  ///< [n]
  const RowId* read;     ///< [n] as `find` gave them when the rows were read
  const float* old;      ///< [n x layout().width] what was read
  const float* updated;  ///< [n x layout().width] what they have become
};

template <Backend B>
class Table {
 public:
  /// The rows of `shards` of a table, those of rank `rank` of `ranks`. Throws
  /// Error{invalid_argument} for bad options. Opens the store of the table where it has one, and
  /// throws as make_store.
  Table(TableOptions options, Range shards, std::int64_t rank = 0, std::int64_t ranks = 1);

  const TableOptions& options() const noexcept { return options_; }

  /// Tells the table that a feature reads it, for the messages of its errors.
  void add_reader(const std::string& feature);

  const std::vector<std::string>& readers() const noexcept { return readers_; }

  const Partitioner& partitioner() const noexcept { return partitioner_; }

  const RowLayout& layout() const noexcept { return layout_; }

  Range shards() const noexcept { return index_.shards(); }

  /// Rows of this rank, in memory and in the store. Asks the store where there is one.
  std::int64_t size() const { return stored_ == nullptr ? index_.size() : stored_size(shards()); }

  /// The store of the rows and what is known of those in memory; null where all rows live in
  /// memory. Members that look at rows in memory (`find`, `read`) then see those that were brought
  /// (staging.hpp).
  StoredRows* stored() const noexcept { return stored_.get(); }

  /// Rows over all ranks that restrictions have removed in the life of this object.
  std::int64_t removed() const noexcept { return removed_; }

  void count_removed(std::int64_t rows) noexcept { removed_ += rows; }

  /// Gradients and changed rows that this object has dropped: gradients of keys that were not
  /// admitted, a sum per key and step; with `bp_v2` also what came when a row had come or gone
  /// between its read and its step.
  std::int64_t dropped() const noexcept { return dropped_; }

  void count_dropped(std::int64_t rows) noexcept { dropped_ += rows; }

  /// The keys that wait for their admission; null unless the table admits by count.
  Sightings<B>* sightings() noexcept { return sightings_ ? &*sightings_ : nullptr; }

  const Sightings<B>* sightings() const noexcept { return sightings_ ? &*sightings_ : nullptr; }

  /// Bytes of index and rows in memory, and of what stands beside them.
  std::size_t bytes() const noexcept {
    return index_.bytes() + store_.bytes() + statuses_.bytes() +
           (sightings_ ? sightings_->bytes() : 0) + (changed_ ? changed_->bytes() : 0);
  }

  /// Steps, restrictions and insertions of this object; those before a resume are not counted. Rows
  /// that were found at another count are to be found again.
  std::int64_t steps() const noexcept { return steps_; }

  // One table alone; several at once: row_stages.hpp.

  /// rows[i] = the row of keys[i], or kNoRow.
  void find(Stream<B>& stream, Span<const Key> keys, RowId* rows) const;

  /// The same, but a key without a row gets a row with its initial values and states. Keys are
  /// owned by this rank and may come several times.
  void find_or_insert(Stream<B>& stream, Span<const Key> keys, RowId* rows);

  /// out [n x layout().width] = the values of the keys (floats_of), where `rows` is as `find` wrote
  /// it; an absent key reads as its initial value, or as zeros where `inference` and the options
  /// say so.
  void read(Stream<B>& stream, Span<const Key> keys, const RowId* rows, bool inference,
            float* out) const;

  /// Keeps the gradients of a call until the next step.
  void add(RowGradients<B> gradients);

  /// The gradients of all calls since the last step, in the order of the calls; the table has none
  /// afterwards.
  std::vector<RowGradients<B>> take_gradients();

  /// The same, still kept.
  const std::vector<RowGradients<B>>& gradients() const noexcept { return calls_; }

  /// Makes one optimizer step (apply_gradients). Every rank calls `apply` in every step, also
  /// without gradients, because steps are counted.
  void apply(Stream<B>& stream, const UpdateContext& context);

  /// Sets rows to values [n x layout().width] (floats_of), clipped to the max_norm of each group,
  /// and their states to initial; creates missing rows. Keys are distinct and owned by this rank;
  /// keys and values lie on the device.
  void assign(Stream<B>& stream, Span<const Key> keys, const float* values);

  /// Writes changed rows back, clipped to max_norm; states of existing rows stay. By value: a key
  /// gets its updated row. By increment (`bp_v2`): a key that had a row and has one gets `updated -
  /// old` added, a key that had none and has none gets the updated row, and the others are dropped.
  void write_back(Stream<B>& stream, const ChangedRows& changed);

  /// Removes all rows with their states, statuses and sightings, and the gradients since the last
  /// step; the
  /// clocks of the optimizers go on. Rows that were found before are to be found again.
  void clear(Stream<B>& stream);

  // Changes, for deltas. A table follows them from the first mark on, and else spends nothing.

  /// Forgets what has changed so far. Between two steps.
  void mark_changes(Stream<B>& stream);

  bool follows_changes() const noexcept {
    return stored_ == nullptr ? changed_ != nullptr : stored_->changes.has_value();
  }

  /// The keys of a shard of this rank whose rows were made, stepped, assigned or loaded since the
  /// mark, and those whose rows a restriction or `clear` removed; with a store by this program. One
  /// without rows in memory is asked which of these keys have a row. Throws Error{invalid_argument}
  /// where there is no mark.
  ShardChanges changes(std::int64_t shard) const;

  /// Notes that keys of a table with a store have got rows or other ones, where it follows changes.
  void note_changed(const std::vector<StoreKey>& keys);

  /// Notes that a key of that shard loses its row; the table follows changes.
  void note_removed(std::int64_t shard, Key key);

  // What stages of rows are made of.

  KeyIndex<B>& index() noexcept { return index_; }

  /// The first of `rows` new rows, uninitialised.
  RowId allocate(std::int64_t rows);

  /// Leaves the rows [0, rows) after the index has forgotten all others. Rows that were found
  /// before are to be found again.
  void truncate(std::int64_t rows);

  /// Appends the column groups as functors see them.
  void add_group_refs(std::vector<GroupRef>& refs) const;
  /// The table as functors see it, with its groups at `groups` on the device.
  TableRef ref(const GroupRef* groups) const;

  /// Ticks the clocks and writes what the step is into the refs of the groups.
  void begin_step(const UpdateContext& context, GroupRef* groups);

  // Contents, shard by shard, on the host: what checkpoints and digests are made of. Threads may
  // take and load different shards; there is no other work on the table at that time.

  std::vector<RowColumn> columns() const { return row_columns(options_, layout_); }

  /// Rows of a shard of this rank.
  std::int64_t shard_size(std::int64_t shard) const {
    return stored_ == nullptr ? index_.size(shard) : stored_size({shard, shard + 1});
  }

  ShardRows shard_rows(std::int64_t shard) const;
  /// out [rows.size() x column.width], of the dtype of the column, = that column of the rows.
  void copy_column(Span<const RowId> rows, const RowColumn& column, void* out) const;
  /// Fills an empty shard: keys are distinct and of this shard; columns as `columns()` has them,
  /// each [keys.size() x width] of its dtype, on the host.
  void load_shard(std::int64_t shard, Span<const Key> keys,
                  const std::vector<const void*>& columns);

  /// Keys of a shard with what copy_column copies of them: rows in memory, or a copy of those of
  /// the store.
  ShardContent shard_content(std::int64_t shard) const;
  void copy_column(const ShardContent& content, const RowColumn& column, void* out) const;

  /// The clocks of the optimizers, one per column group.
  std::vector<OptimizerClock>& clocks() noexcept { return clocks_; }

  // Records: all columns of a row one after another, on the host, as a store holds them
  // (stored_rows.hpp).

  /// The records of rows in memory: [rows x size].
  std::vector<float> records(const std::vector<RowId>& rows) const;
  /// Copies rows in memory to records that the device can reach: record i lies at places[i]. Waits.
  void copy_records(Stream<B>& stream, const std::vector<RowId>& rows,
                    const std::vector<float*>& places) const;
  /// Gives distinct keys without a row in memory a row with the record at places[i], which the
  /// device can reach; returns these rows. Waits.
  std::vector<RowId> insert_records(Stream<B>& stream, const std::vector<Key>& keys,
                                    const std::vector<float*>& places);
  /// Sets rows in memory to records [rows x size].
  void set_records(Stream<B>& stream, const std::vector<RowId>& rows, const float* records);
  /// Forgets the rows in memory from `rows` on.
  void forget_from(RowId rows);

 private:
  /// Moves rows in memory to the records at `places`, or from there, with their statuses. Waits.
  template <bool kOut>
  void move_records(Stream<B>& stream, const std::vector<RowId>& rows,
                    const std::vector<float*>& places) const;

  /// The time as the restrict policy counts it.
  std::uint32_t now() const;

  /// find_or_insert, which does not write new rows to the store.
  void find_or_make(Stream<B>& stream, Span<const Key> keys, RowId* rows);

  std::int64_t stored_size(Range shards) const;

  ShardChanges stored_changes(std::int64_t shard) const;

  /// load_shard into the store.
  void put_shard(std::int64_t shard, Span<const Key> keys, const std::vector<const void*>& columns);

  /// Writes rows back that a program has made, to the store where there is one.
  void keep(Stream<B>& stream, Span<const Key> keys, const RowId* rows);

  TableOptions options_;
  std::vector<std::string> readers_;
  Partitioner partitioner_;
  RowLayout layout_;
  KeyIndex<B> index_;
  RowStore<B> store_;
  RowStore<B> statuses_;  // row r has the status of row r of store_; empty without a policy
  std::optional<Sightings<B>> sightings_;
  std::unique_ptr<RowStore<B>> changed_;  // row r has a number for row r of store_; null: no mark
  std::vector<std::vector<Key>> removed_keys_;  // of each shard, since the mark
  std::mutex allocation_;
  std::unique_ptr<StoredRows> stored_;
  std::vector<OptimizerClock> clocks_;  // one per group
  std::vector<RowGradients<B>> calls_;
  std::int64_t steps_ = 0;
  std::int64_t removed_ = 0;
  std::int64_t dropped_ = 0;
};

}  // namespace keyshard
