// A communicator that counts what a rank sends to others through another one: what the formulas of
// docs/scale.md are held against.
#pragma once

#include "collectives/communicator.hpp"

namespace keyshard {

class CountingCommunicator final : public Communicator<Cpu> {
 public:
  /// `inner` is borrowed.
  explicit CountingCommunicator(Communicator<Cpu>& inner) : inner_(inner) {}

  /// Bytes of all_to_all that went to other ranks, and the parts of them that were not empty.
  std::int64_t bytes() const noexcept { return bytes_; }

  std::int64_t messages() const noexcept { return messages_; }

  int rank() const noexcept override { return inner_.rank(); }

  int size() const noexcept override { return inner_.size(); }

  int local_size() const noexcept override { return inner_.local_size(); }

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    for (std::size_t to = 0; to < send_bytes.size(); ++to) {
      if (static_cast<int>(to) != rank() && send_bytes[to] > 0) {
        bytes_ += send_bytes[to];
        ++messages_;
      }
    }
    inner_.all_to_all(stream, send, send_bytes, receive, receive_bytes);
  }

  void all_gather(Span<const std::byte> mine, Span<std::byte> all) override {
    inner_.all_gather(mine, all);
  }

  void broadcast(Span<std::byte> inout, int root) override { inner_.broadcast(inout, root); }

  void all_reduce(Span<std::int64_t> inout, Reduction operation) override {
    inner_.all_reduce(inout, operation);
  }

  void all_reduce(Span<double> inout, Reduction operation) override {
    inner_.all_reduce(inout, operation);
  }

  void barrier() override { inner_.barrier(); }

  void abort(std::string_view why, int exit_code) noexcept override {
    inner_.abort(why, exit_code);
  }

  bool post(int to, Span<const std::byte> note) override { return inner_.post(to, note); }

  bool poll(int from, Span<std::byte> note) override { return inner_.poll(from, note); }

  std::unique_ptr<Communicator<Cpu>> duplicate() override { return inner_.duplicate(); }

 private:
  Communicator<Cpu>& inner_;
  std::int64_t bytes_ = 0;
  std::int64_t messages_ = 0;
};

}  // namespace keyshard
