// Ranks that are as far from each other as machines of a network: each exchange takes a fixed time
// more, in which the thread that waits for it sleeps. What a bench does of it is a model of a
// network, not a measure of one.
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "collectives/forwarding_communicator.hpp"

namespace keyshard {

class DistantCommunicator final : public ForwardingCommunicator {
 public:
  /// `inner` is borrowed.
  DistantCommunicator(Communicator<Cpu>& inner, std::chrono::microseconds away)
      : ForwardingCommunicator(inner), away_(away) {}

  void all_to_all(Stream<Cpu>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    std::this_thread::sleep_for(away_);
    ForwardingCommunicator::all_to_all(stream, send, send_bytes, receive, receive_bytes);
  }

  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override {
    std::this_thread::sleep_for(away_);
    ForwardingCommunicator::all_to_all_values(send, receive);
  }

  std::unique_ptr<Communicator<Cpu>> duplicate() override {
    return std::make_unique<DistantCommunicator>(inner().duplicate(), away_);
  }

  /// Owns what it hands calls to.
  DistantCommunicator(std::unique_ptr<Communicator<Cpu>> inner, std::chrono::microseconds away)
      : ForwardingCommunicator(*inner), own_(std::move(inner)), away_(away) {}

 private:
  std::unique_ptr<Communicator<Cpu>> own_;  // null where it is borrowed
  std::chrono::microseconds away_;
};

}  // namespace keyshard
