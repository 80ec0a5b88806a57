// Ranks that exchange buffers. A run-time interface. For data in host memory, ranks are MPI
// processes, or threads of one process; a communicator of device data has such a communicator
// beside it (nccl_communicator.hpp, staged_communicator.hpp). Every member is collective, except
// the noexcept ones and those that say so: all ranks call the collective members in the same order,
// and a call completes on every rank or fails on every rank. There is no sum of floats: floats are
// added by folds (folded_sum.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "collectives/taken_names.hpp"
#include "runtime/portable.hpp"
#include "runtime/progress.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

/// Operations whose result does not depend on their order.
enum class Reduction { sum, min, max };

template <Backend B>
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const noexcept = 0;
  virtual int size() const noexcept = 0;
  /// Ranks on the machine of this rank, itself included.
  virtual int local_size() const noexcept = 0;

  /// Sends send_bytes[r] bytes to each rank r and receives receive_bytes[r] bytes from rank r;
  /// buffers hold the parts one after another, in the order of ranks. Counts may be zero and may
  /// differ; totals may exceed 2 GiB. Device buffers, ordered on `stream`. Throws
  /// Error{communication}.
  virtual void all_to_all(Stream<B>& stream, Span<const std::byte> send,
                          Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                          Span<const std::int64_t> receive_bytes) = 0;

  // Small messages between hosts, apart from device data: counts, sizes, options. They take no
  // stream, and return when the message has arrived. They throw Error{communication}.

  /// Cuts `send` into size() equal parts and sends part r to rank r; `receive` gets one part from
  /// every rank, in the order of ranks. `send` and `receive` have the same number of values, on
  /// every rank.
  virtual void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) = 0;

  /// `all` gets the `mine` of every rank, in the order of ranks: all.size() == size() * mine.size()
  /// on every rank.
  virtual void all_gather(Span<const std::byte> mine, Span<std::byte> all) = 0;
  virtual void broadcast(Span<std::byte> inout, int root) = 0;
  virtual void all_reduce(Span<std::int64_t> inout, Reduction operation) = 0;
  /// Extrema only: `sum` throws Error{invalid_argument}.
  virtual void all_reduce(Span<double> inout, Reduction operation) = 0;
  virtual void barrier() = 0;

  /// Ends the waiting of all other ranks. Where ranks are threads, each of their collectives throws
  /// Error{communication} with `why` and the number of this rank; where ranks are processes, all of
  /// them end, and this call does not return. Not collective.
  virtual void abort(std::string_view why, int exit_code) noexcept = 0;
  /// Throws Error{communication} where a rank has aborted, for loops that wait for something other
  /// than a message. Never waits. Not collective.
  virtual void throw_if_aborted() = 0;

  // Notes, for heart-beats: `post` and `poll` never wait for a peer, since the peer may be stopped.
  // Not collective.

  /// Sends a note of a few bytes to another rank and returns at once. Returns false where an
  /// earlier note to that rank is still under way: the new note is dropped then.
  virtual bool post(int to, Span<const std::byte> note) = 0;
  /// Takes the oldest note of another rank that has arrived, of note.size() bytes. Returns false
  /// where there is none.
  virtual bool poll(int from, Span<std::byte> note) = 0;

  /// Another communicator over the same ranks. Messages of the two never mix. Collective.
  virtual std::unique_ptr<Communicator> duplicate() = 0;

  /// The same ranks, for data in host memory: this object itself on a CPU.
  virtual Communicator<Cpu>& host() noexcept = 0;

  /// What this rank is doing; every collective advances the counter. A communicator of device data
  /// shares the Progress of host().
  Progress& progress() noexcept {
    if constexpr (std::same_as<B, Cpu>) {
      return progress_;
    } else {
      return host().progress();
    }
  }

  /// The names of what is made on this communicator, as this rank has made it. A communicator of
  /// device data shares those of host(); a duplicate has its own. Not collective.
  TakenNames& names() noexcept {
    if constexpr (std::same_as<B, Cpu>) {
      return *names_;
    } else {
      return host().names();
    }
  }

  // Convenience over all_gather and broadcast.

  /// Returns the values of all ranks, by rank.
  template <class T>
  std::vector<T> gather_values(const T& value) {
    std::vector<T> all(static_cast<std::size_t>(size()));
    all_gather(std::as_bytes(Span<const T>(&value, 1)), std::as_writable_bytes(Span<T>(all)));
    return all;
  }

  /// Returns the lists of all ranks, by rank. Their sizes may differ; elements are trivially
  /// copyable.
  template <class T>
  std::vector<std::vector<T>> gather_lists(Span<const T> mine) {
    const std::vector<std::size_t> sizes = gather_values(static_cast<std::size_t>(mine.size()));
    // The parts travel padded to one size and are cut afterwards: these are small messages.
    std::vector<T> padded(*std::max_element(sizes.begin(), sizes.end()));
    std::copy(mine.begin(), mine.end(), padded.begin());
    std::vector<T> all(padded.size() * sizes.size());
    all_gather(std::as_bytes(Span<const T>(padded)), std::as_writable_bytes(Span<T>(all)));
    std::vector<std::vector<T>> lists;
    const T* part = all.data();
    for (const std::size_t elements : sizes) {
      lists.emplace_back(part, part + elements);
      part += padded.size();
    }
    return lists;
  }

  /// Returns the lists of all ranks as one, in the order of ranks.
  template <class T>
  std::vector<T> gather_joined(Span<const T> mine) {
    std::vector<T> joined;
    for (const std::vector<T>& list : gather_lists(mine)) {
      joined.insert(joined.end(), list.begin(), list.end());
    }
    return joined;
  }

 private:
  Progress progress_;
  std::shared_ptr<TakenNames> names_ = std::make_shared<TakenNames>();
};

/// The same ranks, for data in host memory: the communicator itself on a CPU.
template <Backend B>
Communicator<Cpu>& host_of(Communicator<B>& communicator) noexcept {
  return communicator.host();
}

}  // namespace keyshard
