// A communicator of one rank with a device: what it sends it receives, and for messages of the host
// it asks a communicator of one rank.
#pragma once

#include <memory>
#include <utility>

#include "collectives/thread_communicator.hpp"
#include "runtime/copy.hpp"

namespace keyshard::testing {

class OneRank final : public Communicator<Cuda> {
 public:
  explicit OneRank(std::unique_ptr<Communicator<Cpu>> host) : host_(std::move(host)) {}

  OneRank() : OneRank(std::move(make_thread_communicators(1).front())) {}

  Communicator<Cpu>& host() noexcept { return *host_; }

  int rank() const noexcept override { return 0; }

  int size() const noexcept override { return 1; }

  int local_size() const noexcept override { return 1; }

  void all_to_all(Stream<Cuda>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> /*send_bytes*/, Span<std::byte> receive,
                  Span<const std::int64_t> /*receive_bytes*/) override {
    copy(stream, send.data(), send.size(), receive.data());
  }

  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override {
    host_->all_to_all_values(send, receive);
  }

  void all_gather(Span<const std::byte> mine, Span<std::byte> all) override {
    host_->all_gather(mine, all);
  }

  void broadcast(Span<std::byte> inout, int root) override { host_->broadcast(inout, root); }

  void all_reduce(Span<std::int64_t> inout, Reduction operation) override {
    host_->all_reduce(inout, operation);
  }

  void all_reduce(Span<double> inout, Reduction operation) override {
    host_->all_reduce(inout, operation);
  }

  void barrier() override { host_->barrier(); }

  void abort(std::string_view why, int exit_code) noexcept override {
    host_->abort(why, exit_code);
  }

  bool post(int to, Span<const std::byte> note) override { return host_->post(to, note); }

  bool poll(int from, Span<std::byte> note) override { return host_->poll(from, note); }

  std::unique_ptr<Communicator<Cuda>> duplicate() override {
    return std::make_unique<OneRank>(host_->duplicate());
  }

 private:
  std::unique_ptr<Communicator<Cpu>> host_;
};

}  // namespace keyshard::testing
