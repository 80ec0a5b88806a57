// One pattern of an all-to-all, learned once and used in both directions: ids forward, values back,
// gradients forward. An Exchange knows nothing of what travels.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/communicator.hpp"
#include "runtime/buffer.hpp"
#include "runtime/stream.hpp"

namespace keyshard {

template <Backend B>
class Exchange {
 public:
  Exchange() = default;

  /// `send_counts[r]` items go to rank r; learns how many come from each rank. `communicator` is
  /// borrowed. Throws Error{invalid_argument} where there is not one count per rank. Collective.
  Exchange(Communicator<B>& communicator, std::vector<std::int64_t> send_counts);
  /// The same where the counts of both directions are known already. Not collective.
  Exchange(Communicator<B>& communicator, std::vector<std::int64_t> send_counts,
           std::vector<std::int64_t> receive_counts);

  /// Items that this rank sends to all ranks, itself included, and receives from them.
  std::int64_t sent() const noexcept { return sent_; }

  std::int64_t received() const noexcept { return received_; }

  const std::vector<std::int64_t>& send_counts() const noexcept { return send_counts_; }

  const std::vector<std::int64_t>& receive_counts() const noexcept { return receive_counts_; }

  /// send [sent() x width] -> receive [received() x width]; items ordered by rank, and within a
  /// rank as the sender had them. Collective; ordered on `stream`.
  template <class T>
  void forward(Stream<B>& stream, const T* send, T* receive, std::int64_t width = 1) const {
    move(stream, send, send_counts_, receive, receive_counts_,
         width * static_cast<std::int64_t>(sizeof(T)));
  }

  /// The same with a buffer [sent()] that the caller gives away: a rank that is alone gets that
  /// buffer back, without a copy.
  template <class T>
  Buffer<T, B> forward(Stream<B>& stream, Buffer<T, B> send) const {
    if (communicator_->size() == 1) {
      return send;
    }
    Buffer<T, B> received(stream, received_);
    forward(stream, send.data(), received.data());
    return received;
  }

  /// The way back: a buffer [received()] that the caller gives away becomes one of [sent()]; a rank
  /// that is alone gets its buffer back.
  template <class T>
  Buffer<T, B> backward(Stream<B>& stream, Buffer<T, B> receive) const {
    if (communicator_->size() == 1) {
      return receive;
    }
    Buffer<T, B> sent(stream, sent_);
    backward(stream, receive.data(), sent.data());
    return sent;
  }

  /// receive [received() x width] -> send [sent() x width]: every item returns to the place it came
  /// from.
  template <class T>
  void backward(Stream<B>& stream, const T* receive, T* send, std::int64_t width = 1) const {
    move(stream, receive, receive_counts_, send, send_counts_,
         width * static_cast<std::int64_t>(sizeof(T)));
  }

 private:
  void move(Stream<B>& stream, const void* from, const std::vector<std::int64_t>& from_counts,
            void* to, const std::vector<std::int64_t>& to_counts, std::int64_t item_bytes) const;

  Communicator<B>* communicator_ = nullptr;
  std::vector<std::int64_t> send_counts_;
  std::vector<std::int64_t> receive_counts_;
  std::int64_t sent_ = 0;
  std::int64_t received_ = 0;
};

}  // namespace keyshard
