// The lookup of the next batch, as far as it needs no rows: its upload, the dedup of its ids and
// their exchange, by a thread with a communicator and a queue of its own, while the step before it
// runs. All ranks begin the same batches in the same order, so the collectives of these threads
// have one order, too. Rows are read when the step before is done (Lookup::forward), so results are
// those of a lookup that begins then.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <memory>

#include "collectives/communicator.hpp"
#include "embedding/lookup/lookup.hpp"
#include "io/batch.hpp"
#include "launch/training/next_batch.hpp"
#include "runtime/event.hpp"
#include "runtime/side_thread.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// The numbers that a batch carries to all ranks, in this order.
enum class Carried : std::size_t { samples, stop, bad_lines };

inline constexpr std::int64_t kCarried = 3;

/// Prepares the lookup of a batch with so many slices. Null: on the communicator of the lookup.
/// Collective. Throws as Lookup::prepare.
template <Backend B>
PreparedLookup<B> prepare_batch(Lookup<B>& lookup, Stream<B>& stream, const Batch& batch,
                                std::int64_t slices, bool stop,
                                Communicator<B>* communicator = nullptr);

/// A queue beside that of the steps. On a CPU it has a thread, or more where the steps have many:
/// the ids of a rank grow with what its threads compute.
inline Stream<Cpu> stream_beside(Stream<Cpu>& steps) {
  return Stream<Cpu>(std::max(1, steps.threads().size() / 8), steps.share_work());
}

inline Stream<Cuda> stream_beside(Stream<Cuda>& steps) { return Stream<Cuda>(steps.device()); }

template <Backend B>
class LookAhead {
 public:
  /// Borrows the lookup, and the communicator and the stream of the steps. Collective.
  LookAhead(Lookup<B>& lookup, Communicator<B>& communicator, Stream<B>& stream,
            std::int64_t slices);

  /// Prepares the next batch from now on, which carries this rank's wish to stop. The batch is
  /// borrowed until `finish`.
  void begin(const NextBatch& next, bool stop);

  /// Waits until the batch is prepared, or has failed. Nothing where none was begun.
  void finish() noexcept;

  /// Whether a batch was begun and not taken.
  bool holds_batch() const noexcept { return begun_; }

  /// Whether a rank wished to stop when this batch was begun; false where it failed. After
  /// `finish`.
  bool stop_wished() const;

  /// What was prepared of the batch that was begun: `batch`, which has perhaps moved since. The
  /// stream of the steps holds the work of it. Throws what its preparation threw, and
  /// Error{invalid_argument} for another batch.
  PreparedLookup<B> take(const Batch& batch);

  /// Says that the stream of the steps has been given all work on what was taken: its memory may go
  /// when that work is done.
  void release() noexcept;

  /// Launches of this thread so far. After `finish`.
  std::int64_t launches() const noexcept;

 private:
  /// The queue of every other batch: memory of a batch goes in the order of its queue, behind the
  /// work of the steps, and does not hold up the batch after it.
  struct Lane {
    explicit Lane(Stream<B>& steps) : stream(stream_beside(steps)) {}

    Stream<B> stream;
    Event<B> prepared, used;
  };

  PreparedLookup<B> prepare(Lane& lane, const NextBatch& next, bool stop);

  Lookup<B>& lookup_;
  Progress& progress_;  // of the steps
  Stream<B>& steps_;
  std::int64_t slices_;
  std::unique_ptr<Communicator<B>> communicator_;
  std::array<Lane, 2> lanes_;
  std::size_t lane_ = 0;   // of the batch that was begun
  std::size_t taken_ = 0;  // of the batch that was taken
  bool begun_ = false;
  const void* ids_ = nullptr;  // of the batch that was begun
  PreparedLookup<B> prepared_;
  std::exception_ptr failure_;
  SideThread thread_;  // the last: it ends before what it uses
};

}  // namespace keyshard
