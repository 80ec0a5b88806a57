// What a sparse step costs at least: plain loops over one hash table a thread, with open
// addressing, for the benchmark's keys alone (FLOORS.md counts bytes, misses and operations). A
// floor has no ranks, slices, tables or options, and each thread owns a part of the keys. Its
// results are those of the library up to the order of sums, as tests check.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/thread_pool.hpp"

namespace keyshard {

/// Adagrad with one h per number, or one per row (of the mean of g^2); h begins with 0:
/// w -= kFloorRate g / (sqrt(h) + kFloorEpsilon).
enum class FloorOptimizer { adagrad, rowwise };
inline constexpr float kFloorRate = 0.05f;
inline constexpr float kFloorEpsilon = 1e-7f;

/// Keys -> rows of value and state, of one thread. No key is 0. Rows lie on huge pages and never
/// move.
class FloorTable {
 public:
  /// Rows of `stride` floats.
  explicit FloorTable(std::int64_t stride);
  ~FloorTable();
  FloorTable(const FloorTable&) = delete;
  FloorTable& operator=(const FloorTable&) = delete;

  void prefetch(Key key) const { __builtin_prefetch(&entries_[home(key)]); }

  /// The row of a key, or null.
  float* find(Key key) const;
  /// The row of a key; a new row has filled_value in the first `dim` columns, then zeros.
  float* find_or_insert(Key key, std::int64_t dim);

  std::int64_t size() const noexcept { return size_; }

 private:
  struct Entry {
    Key key;
    std::int64_t row;
  };

  // The upper bits of the benchmark's keys are mixed.
  std::size_t home(Key key) const { return static_cast<std::size_t>(key >> shift_); }

  void grow();

  std::int64_t stride_;
  Entry* entries_ = nullptr;
  int shift_ = 0;
  std::size_t capacity_ = 0;
  float* rows_;
  std::int64_t size_ = 0;
};

class SparseFloor {
 public:
  /// Rows of `dim` values. The threads are borrowed.
  SparseFloor(ThreadPool& threads, std::int64_t dim, FloorOptimizer optimizer);

  /// Makes rows for keys that have none.
  void insert(Span<const Key> keys);

  /// How many distinct keys there are.
  std::int64_t count_distinct(Span<const Key> keys);

  /// rows[i] = the row of keys[i], or null.
  void find(Span<const Key> keys, const float** rows) const;

  /// out [bags x dim] = the sum of the rows of each bag. Every key has a row.
  void lookup(Span<const Key> keys, Span<const std::int64_t> offsets, float* out);

  /// The same, then one optimizer step per key with the sum of the gradients [bags x dim] of its
  /// occurrences.
  void train(Span<const Key> keys, Span<const std::int64_t> offsets, const float* gradients,
             float* out);

  /// The row of a key, or null.
  const float* row(Key key) const;

  std::int64_t size() const;

 private:
  /// A thread's part of a step.
  struct Part {
    explicit Part(std::int64_t stride) : table(stride), seen(1 << 12) {}

    struct Seen {
      Key key;
      std::uint32_t number;
      std::uint32_t step;  // the last in which the key was seen
    };

    FloorTable table;
    std::vector<std::uint32_t> mine;     // occurrences of this thread's keys
    std::vector<std::uint32_t> bags;     // [occurrences] bag of each
    std::vector<std::uint32_t> numbers;  // [occurrences] place of its key in `distinct`
    std::vector<Key> distinct;
    std::vector<float*> rows;  // of the distinct keys
    std::vector<float> sums;   // [distinct x dim]
    std::vector<Seen> seen;
    std::uint32_t step = 0;

    std::uint32_t number_of(Key key);
    void widen();
  };

  Part& part_of(Key key) const {
    return *parts_[static_cast<std::size_t>((key >> 20) % parts_.size())];
  }

  bool owns(std::size_t thread, Key key) const {
    return parts_.size() == 1 || (key >> 20) % parts_.size() == thread;
  }

  void select(Span<const Key> keys, Span<const std::int64_t> offsets, std::size_t thread);
  void deduplicate(Span<const Key> keys, Part& part);
  void probe(Part& part);
  template <int Dim>
  void hand_out(Part& part, float* out) const;
  template <int Dim>
  void pool(Span<const std::int64_t> offsets, std::int64_t begin, std::int64_t end,
            float* out) const;
  template <int Dim>
  void update(Part& part, const float* gradients) const;
  template <int Dim>
  void forward(Span<const Key> keys, Span<const std::int64_t> offsets, float* out);

  ThreadPool& threads_;
  std::int64_t dim_;
  FloorOptimizer optimizer_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<const float*> row_of_;  // of every occurrence, where bags have several
};

}  // namespace keyshard
