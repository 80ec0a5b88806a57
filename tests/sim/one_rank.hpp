// A communicator of one rank with a device: what it sends it receives, and for messages of the host
// it asks a communicator of one rank.
#pragma once

#include <memory>
#include <utility>

#include "collectives/forwarding_communicator.hpp"
#include "collectives/thread_communicator.hpp"
#include "runtime/copy.hpp"

namespace keyshard::testing {

class OneRank final : public HostMessages<Cuda> {
 public:
  explicit OneRank(std::unique_ptr<Communicator<Cpu>> host)
      : HostMessages<Cuda>(*host), host_(std::move(host)) {}

  OneRank() : OneRank(std::move(make_thread_communicators(1).front())) {}

  Communicator<Cpu>& host() noexcept override { return *host_; }

  void all_to_all(Stream<Cuda>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> /*send_bytes*/, Span<std::byte> receive,
                  Span<const std::int64_t> /*receive_bytes*/) override {
    copy(stream, send.data(), send.size(), receive.data());
  }

  std::unique_ptr<Communicator<Cuda>> duplicate() override {
    return std::make_unique<OneRank>(host_->duplicate());
  }

 private:
  std::unique_ptr<Communicator<Cpu>> host_;
};

}  // namespace keyshard::testing
