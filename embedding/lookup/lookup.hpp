// The lookup of all features of a batch in their tables, on any number of ranks: ids are
// deduplicated, sent to the owners of their shards, looked up there, and come back as rows or as
// partial sums of bags; the way back is the same pattern with gradients. All features and tables
// travel in one exchange. Forward returns a trace, which backward takes: nothing of a batch is kept
// here, so a lookup can be used many times in a step.
//
// Order of sums (ARCHITECTURE.md, decision 4): the rows of a bag are added in the order of the bag,
// or by (shard, position) with a fold over shards where the table has that pool order. The
// gradients of a key are added inside a slice in the order (sample, feature, position), then folded
// over slices.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "collectives/communicator.hpp"
#include "embedding/lookup/feature.hpp"
#include "embedding/lookup/shape.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/runs.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// The ids of a rank's samples, borrowed for the duration of the call. Ids and the offsets of bags
/// lie on the device; the rest lies on the host.
struct LookupInput {
  RaggedView<const Key> bags;  ///< bag f of sample b is number b * features + f
  std::int64_t samples = 0;
  std::int64_t slices = 1;                 ///< V, of the global batch
  Range run;                               ///< slices of this rank: run_of(rank, ranks, slices)
  Span<const std::int64_t> slice_offsets;  ///< [run.size() + 1] samples of slice run.begin + i:
                                           ///< offsets[i] .. offsets[i + 1]
  Span<const float> weights = {};  ///< of each id, on the device; empty where no feature has
                                   ///< weights. Those of features without weights are not read
};

/// What a lookup moved, on this rank.
struct LookupTraffic {
  std::int64_t ids = 0;       ///< occurrences
  std::int64_t distinct = 0;  ///< distinct keys sent
  std::int64_t missing = 0;   ///< distinct keys that this rank was asked for and has no row of
  std::int64_t reduced_tables = 0;  ///< tables answered in reduced form
  std::int64_t bytes = 0;  ///< sent by this rank to others in forward: keys, parts and answers
};

template <Backend B>
struct LookupState;

/// What a forward learns from the ids of a batch alone: which keys and parts of bags each rank asks
/// of each owner. It holds no row and no place of a row, so tables may change before its forward.
/// A value that is moved.
template <Backend B>
class PreparedLookup {
 public:
  PreparedLookup() = default;

  explicit PreparedLookup(std::shared_ptr<LookupState<B>> state) : state_(std::move(state)) {}

  PreparedLookup(PreparedLookup&&) noexcept = default;
  PreparedLookup& operator=(PreparedLookup&&) noexcept = default;

  const std::shared_ptr<LookupState<B>>& state() const { return state_; }

  /// Hands on what was learned; nothing is left here.
  std::shared_ptr<LookupState<B>> take() { return std::move(state_); }

  /// The sum over all ranks of each number that prepare was given to carry.
  const std::vector<std::int64_t>& carried() const;

 private:
  std::shared_ptr<LookupState<B>> state_;
};

/// What backward needs to know of a forward. A value: a program may move, drop and keep several.
template <Backend B>
class LookupTrace {
 public:
  LookupTrace() = default;

  explicit LookupTrace(std::shared_ptr<LookupState<B>> state) : state_(std::move(state)) {}

  const std::shared_ptr<LookupState<B>>& state() const { return state_; }

  /// The sum over all ranks of each number that forward was given to carry.
  const std::vector<std::int64_t>& carried() const;
  const LookupTraffic& traffic() const;

 private:
  std::shared_ptr<LookupState<B>> state_;  // gradients that tables keep own it too
};

template <Backend B>
class Lookup {
 public:
  /// Features and the tables they read, the same on all ranks. Tables are borrowed and hold the
  /// shards of this rank: owners_of(options, ranks).shards_of(rank). Throws
  /// Error{invalid_argument}.
  Lookup(Communicator<B>& communicator, std::vector<Table<B>*> tables,
         const std::vector<FeatureOptions>& features);

  /// Column groups: the most that any table has.
  std::int64_t groups() const { return shape_.num_groups(); }

  /// Columns of the output of a group: the sum of its dims over the features.
  std::int64_t width(std::int64_t group) const {
    return shape_.widths[static_cast<std::size_t>(group)];
  }

  /// Where the columns of a feature start in the output of a group.
  std::int64_t column(std::int64_t feature, std::int64_t group) const {
    return shape_.groups[static_cast<std::size_t>(feature * groups() + group)].column;
  }

  /// pooled[g] [samples x width(g)], on the device, gets the pooled rows. `carry` are integers that
  /// are summed over ranks on the way (counts, flags), as many on every rank. `training` = false is
  /// inference: `missing` of a table applies, and the trace is of no use to backward. Where the
  /// bags of a rank do not fit its batch, throws Error{invalid_argument} there and
  /// Error{communication} on the other ranks, before any id is sent. Collective. An inference may
  /// use another communicator over the same ranks, so that threads make inferences at once, each
  /// with its own; null: that of the lookup.
  LookupTrace<B> forward(Stream<B>& stream, const LookupInput& input, bool training,
                         Span<const std::int64_t> carry, Span<const MatrixView<float>> pooled,
                         Communicator<B>* communicator = nullptr);

  /// The first half of a forward: learns the ids of a batch, and sends them to the owners of their
  /// rows. Reads and changes nothing of tables, so another thread may use and change them
  /// meanwhile; where such a thread calls collectives too, `stream` and `communicator` are others
  /// than its own. The batch is borrowed for the call alone. Throws as the whole forward does.
  /// Collective.
  PreparedLookup<B> prepare(Stream<B>& stream, const LookupInput& input,
                            Span<const std::int64_t> carry,
                            Communicator<B>* communicator = nullptr);

  /// The second half: finds and reads the rows as they are now, and pools them. The work of the
  /// prepare is done, or `stream` holds it. Both halves together are the whole forward, bit for
  /// bit. Collective.
  LookupTrace<B> forward(Stream<B>& stream, PreparedLookup<B> prepared, bool training,
                         Span<const MatrixView<float>> pooled,
                         Communicator<B>* communicator = nullptr);

  /// In place of `forward` or `prepare`, on a rank whose ids were refused: throws `failure` here,
  /// and Error{communication} with its message on the ranks that call `forward` or `prepare`, whose
  /// `carry` has `carried` numbers.
  [[noreturn]] void refuse(Stream<B>& stream, std::exception_ptr failure, std::int64_t carried = 0,
                           Communicator<B>* communicator = nullptr);

  /// gradients[g] [samples x width(g)], on the device, are the gradients of the pooled rows. Gives
  /// each table the gradient sums per key (Table::add). Collective.
  void backward(Stream<B>& stream, const LookupTrace<B>& trace,
                Span<const MatrixView<const float>> gradients);

 private:
  Communicator<B>* communicator_;
  std::vector<Table<B>*> tables_;
  LookupShape shape_;
};

}  // namespace keyshard
