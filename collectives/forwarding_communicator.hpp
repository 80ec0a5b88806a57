// Communicators that hand calls to another communicator. HostMessages is the base of communicators
// of device data too: it hands on all messages between hosts. ForwardingCommunicator hands on
// everything, for communicators that count, delay or otherwise watch what a rank does.
#pragma once

#include "collectives/communicator.hpp"

namespace keyshard {

/// Hands every call but all_to_all and duplicate to a communicator of host data.
template <Backend B>
class HostMessages : public Communicator<B> {
 public:
  int rank() const noexcept final { return inner_.rank(); }

  int size() const noexcept final { return inner_.size(); }

  int local_size() const noexcept final { return inner_.local_size(); }

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

  void abort(std::string_view why, int exit_code) noexcept override {
    inner_.abort(why, exit_code);
  }

  void throw_if_aborted() override { inner_.throw_if_aborted(); }

  bool post(int to, Span<const std::byte> note) final { return inner_.post(to, note); }

  bool poll(int from, Span<std::byte> note) final { return inner_.poll(from, note); }

 protected:
  /// `inner` is borrowed.
  explicit HostMessages(Communicator<Cpu>& inner) : inner_(inner) {}

  Communicator<Cpu>& inner() noexcept { return inner_; }

 private:
  Communicator<Cpu>& inner_;
};

class ForwardingCommunicator : public HostMessages<Cpu> {
 public:
  /// `inner` is borrowed. Collectives advance the progress() of `inner`, not that of this object.
  explicit ForwardingCommunicator(Communicator<Cpu>& inner) : HostMessages<Cpu>(inner) {}

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    inner().all_to_all(stream, send, send_bytes, receive, receive_bytes);
  }

  std::unique_ptr<Communicator<Cpu>> duplicate() override { return inner().duplicate(); }

  Communicator<Cpu>& host() noexcept final { return *this; }
};

}  // namespace keyshard
