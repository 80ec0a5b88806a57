// A store outside the memory of the ranks, which holds the rows of one table: a *record* of so many
// floats per key, its values, its optimizer states and its status. A store knows no optimizer and
// no step; rows/stored_rows.hpp brings records into a table and back. Records lie by shard, so that
// checkpoints and digests read them shard by shard.
//
// A store has a header, which binds the layout of its records: a store that was written by another
// table, with other columns, dtypes or options, is refused with both layouts in the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/hash.hpp"
#include "runtime/portable.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Hashes keys, which programs choose.
struct KeyHash {
  std::size_t operator()(Key key) const { return mix64(key); }
};

/// A key and its shard.
struct StoreKey {
  Key key;
  std::uint32_t shard;
};

/// What becomes of the status of a row that another writer has changed meanwhile.
enum class StatusMerge {
  none,    ///< rows have no status
  higher,  ///< the higher of the two stays, as for times
  add,     ///< what both have counted is added
};

/// The type of the values by which a record begins, in the order of ValueDtype.
enum class RecordValues { float32, float16, bfloat16, float64, int8, int32, int64 };

/// Values of a record whose Euclidean norm has a limit (rules/max_norm.hpp).
struct RecordLimit {
  std::int64_t offset;  ///< of the first one, in values
  std::int64_t dim;
  double max_norm;
};

/// What the records of a table are.
struct RecordLayout {
  std::string table;        ///< the name of the table
  std::string text;         ///< columns, dtypes and options: the header of the store
  std::int64_t floats = 0;  ///< values and states
  StatusMerge status = StatusMerge::none;
  RecordValues values = RecordValues::float32;
  /// How many values there are; behind them, at the next whole float, are states: doubles where the
  /// values are doubles, else floats.
  std::int64_t num_values = 0;
  std::vector<RecordLimit> limits = {};  ///< none for integers

  /// Floats of a record; a status follows as the bits of one float.
  std::int64_t size() const { return floats + (status == StatusMerge::none ? 0 : 1); }

  std::size_t bytes() const { return static_cast<std::size_t>(size()) * sizeof(float); }
};

/// Records of several keys that a writer has read and changed.
struct ChangedRecords {
  Span<const StoreKey> keys;    ///< [n], distinct
  const std::uint8_t* existed;  ///< [n] whether the key had a record when it was read
  const float* before;          ///< [n x size] what was read
  const float* after;           ///< [n x size] what it has become
};

class Store {
 public:
  explicit Store(RecordLayout layout) : layout_(std::move(layout)) {}

  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const RecordLayout& layout() const noexcept { return layout_; }

  /// The kind of the store and its place, for messages; never a secret.
  virtual std::string place() const = 0;

  // One thread at a time. Errors name `place()`: Error{communication} for a server, Error{io} for a
  // disk, Error{corrupt_data} for what was written by others or is damaged.

  /// records [n x size] gets the record of each key that has one, and found[n] whether it has one.
  /// One request for all keys.
  virtual void get(Span<const StoreKey> keys, float* records, std::uint8_t* found) = 0;

  /// Sets the records of distinct keys, all or none.
  virtual void put(Span<const StoreKey> keys, const float* records) = 0;

  /// Removes the records of distinct keys, all or none.
  virtual void erase(Span<const StoreKey> keys) = 0;

  /// Writes by increment, all or none: a key that had a record and has one gets `after - before`
  /// added, a key that had none and has none gets `after`, and the others are dropped. Returns how
  /// many were dropped. A record that is as it was read becomes `after`, bit for bit. Here: reads,
  /// merges and writes, for stores with one writer.
  virtual std::int64_t add(const ChangedRecords& changed);

  /// Records of these shards together.
  virtual std::int64_t count(Range shards) = 0;

  /// Calls visit(key, record) for the records of a shard, by ascending key.
  virtual void scan(std::int64_t shard,
                    const std::function<void(Key key, const float* record)>& visit) = 0;

  /// Removes the records of these shards, and what other numbers of ranks have left of them.
  virtual void clear(Range shards) = 0;

 private:
  RecordLayout layout_;
};

/// now = the record that a writer leaves which read `before` and wrote `after`, where the record is
/// `now` meanwhile: numbers are added in their own type, floats of 16 bits as floats, integers
/// wrap; then values are clipped to their limits, and rounded once.
void merge_record(const RecordLayout& layout, const float* before, const float* after, float* now);

}  // namespace keyshard
