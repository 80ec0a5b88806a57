#include "collectives/staged_communicator.hpp"

#include <utility>

#include "collectives/forwarding_communicator.hpp"
#include "runtime/copy.hpp"
#include "runtime/pinned_memory.hpp"

namespace keyshard {
namespace {

class StagedCommunicator final : public HostMessages<Cuda> {
 public:
  /// `own_host` is `host`, or null where it is borrowed.
  StagedCommunicator(Communicator<Cpu>& host, std::unique_ptr<Communicator<Cpu>> own_host)
      : HostMessages<Cuda>(host), own_host_(std::move(own_host)) {}

  void all_to_all(Stream<Cuda>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    const Span<std::byte> sent = sent_.room(send.size()), received = received_.room(receive.size());
    copy_to_host(stream, send.data(), send.size(), sent.data());
    inner().all_to_all(host_of(stream), sent, send_bytes, received, receive_bytes);
    copy_to_device(stream, std::as_const(received).data(), receive.size(), receive.data());
    stream.wait();  // the next exchange writes to the same pinned memory
  }

  std::unique_ptr<Communicator<Cuda>> duplicate() override {
    std::unique_ptr<Communicator<Cpu>> own = inner().duplicate();
    Communicator<Cpu>& borrowed = *own;
    return std::make_unique<StagedCommunicator>(borrowed, std::move(own));
  }

  Communicator<Cpu>& host() noexcept override { return inner(); }

 private:
  std::unique_ptr<Communicator<Cpu>> own_host_;
  PinnedMemory sent_, received_;
};

}  // namespace

std::unique_ptr<Communicator<Cuda>> make_staged_communicator(Communicator<Cpu>& host) {
  return std::make_unique<StagedCommunicator>(host, nullptr);
}

}  // namespace keyshard
