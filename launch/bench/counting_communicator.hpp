// A communicator that passes calls on to another communicator and counts what this rank sends to
// other ranks: the formulas of docs/scale.md are compared with these counts.
#pragma once

#include "collectives/forwarding_communicator.hpp"

namespace keyshard {

class CountingCommunicator final : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;

  /// Bytes that all_to_all and all_to_all_values have sent to other ranks, and the number of
  /// messages (parts that were not empty).
  std::int64_t bytes() const noexcept { return bytes_; }

  std::int64_t messages() const noexcept { return messages_; }

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    for (std::int64_t to = 0; to < send_bytes.size(); ++to) {
      count(static_cast<int>(to), send_bytes[to]);
    }
    ForwardingCommunicator::all_to_all(stream, send, send_bytes, receive, receive_bytes);
  }

  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override {
    for (int to = 0; to < size(); ++to) {
      count(to, static_cast<std::int64_t>(send.size_bytes()) / size());
    }
    ForwardingCommunicator::all_to_all_values(send, receive);
  }

 private:
  void count(int to, std::int64_t part_bytes) {
    if (to != rank() && part_bytes > 0) {
      bytes_ += part_bytes;
      ++messages_;
    }
  }

  std::int64_t bytes_ = 0;
  std::int64_t messages_ = 0;
};

}  // namespace keyshard
