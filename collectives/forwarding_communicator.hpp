// A communicator that hands every call to another communicator: the base of communicators that
// count, delay or otherwise watch what a rank does.
#pragma once

#include "collectives/communicator.hpp"

namespace keyshard {

class ForwardingCommunicator : public Communicator<Cpu> {
 public:
  /// `inner` is borrowed. Collectives advance the progress() of `inner`, not that of this object.
  explicit ForwardingCommunicator(Communicator<Cpu>& inner) : inner_(inner) {}

  int rank() const noexcept final { return inner_.rank(); }

  int size() const noexcept final { return inner_.size(); }

  int local_size() const noexcept final { return inner_.local_size(); }

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    inner_.all_to_all(stream, send, send_bytes, receive, receive_bytes);
  }

  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override {
    inner_.all_to_all_values(send, receive);
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

  void abort(std::string_view why, int exit_code) noexcept final { inner_.abort(why, exit_code); }

  bool post(int to, Span<const std::byte> note) final { return inner_.post(to, note); }

  bool poll(int from, Span<std::byte> note) final { return inner_.poll(from, note); }

  std::unique_ptr<Communicator<Cpu>> duplicate() final { return inner_.duplicate(); }

 private:
  Communicator<Cpu>& inner_;
};

}  // namespace keyshard
