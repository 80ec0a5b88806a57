#include "collectives/nccl_communicator.hpp"

#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <nccl.h>

#include "collectives/forwarding_communicator.hpp"
#include "collectives/vote.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/event.hpp"
#include "runtime/peer_waits.hpp"

namespace keyshard {
namespace {

/// What a rank sends to the others and receives from them; parts by rank.
struct Parts {
  Span<const std::byte> send;
  Span<const std::int64_t> send_bytes;
  Span<std::byte> receive;
  Span<const std::int64_t> receive_bytes;
};

/// This rank's end of an NCCL communicator. After a failure NCCL's communicator is gone, which ends
/// its work on the device, and every call throws what the first failing one threw. Thread-safe: a
/// thread may wait for a stream while another one gives an exchange or aborts.
class NcclLink final : public Peers {
 public:
  /// The device of `id` and of the calling thread is that of this rank. Collective.
  NcclLink(Communicator<Cpu>& host, const ncclUniqueId& id) : host_(host) {
    const InCollective waits(host_.progress());
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    accept(ncclCommInitRankConfig(&comm_, host_.size(), id, host_.rank(), &config),
           "ncclCommInitRankConfig");
    settle();
  }

  ~NcclLink() override {
    if (comm_ == nullptr) {
      return;
    }
    if (std::uncaught_exceptions() > 0) {
      ncclCommAbort(comm_);  // peers need not come to this end
      return;
    }
    try {
      const InCollective waits(host_.progress());
      accept(ncclCommFinalize(comm_), "ncclCommFinalize");
      settle();
      ncclCommDestroy(comm_);
    } catch (const Error&) {
      // The failure has ended NCCL's communicator already, and nothing of this rank is left.
    }
  }

  /// Gives the transfers with all other ranks to `queue`, as one group.
  void exchange(Stream<Cuda>& queue, const Parts& parts) {
    const std::lock_guard lock(mutex_);
    check_state();
    accept(ncclGroupStart(), "ncclGroupStart");
    const Refusal refused = give_transfers(queue, parts);
    // The group ends also where a transfer was refused, for NCCL counts groups per thread.
    const ncclResult_t ended = ncclGroupEnd();
    accept(refused.result, refused.call, refused.peer);
    accept(ended, "ncclGroupEnd");
    settle();  // only now do later events of the queue come after the transfers
  }

  void check() override {
    const std::lock_guard lock(mutex_);
    check_state();
  }

  Progress& progress() noexcept override { return host_.progress(); }

  /// Ends the work of this rank; every later call throws `why`.
  void abort(const std::string& why) noexcept {
    const std::lock_guard lock(mutex_);
    end(why);
  }

 private:
  /// A transfer that NCCL did not take.
  struct Refusal {
    ncclResult_t result = ncclSuccess;
    const char* call = "";
    int peer = -1;
  };

  Refusal give_transfers(Stream<Cuda>& queue, const Parts& parts) {
    const std::byte* from = parts.send.data();
    std::byte* to = parts.receive.data();
    for (int peer = 0; peer < host_.size(); ++peer) {
      const auto sends = static_cast<std::size_t>(parts.send_bytes[static_cast<std::size_t>(peer)]);
      const auto receives =
          static_cast<std::size_t>(parts.receive_bytes[static_cast<std::size_t>(peer)]);
      if (peer != host_.rank() && sends > 0) {
        const auto result = ncclSend(from, sends, ncclUint8, peer, comm_, queue.handle());
        if (!is_accepted(result)) {
          return {result, "ncclSend", peer};
        }
      }
      if (peer != host_.rank() && receives > 0) {
        const auto result = ncclRecv(to, receives, ncclUint8, peer, comm_, queue.handle());
        if (!is_accepted(result)) {
          return {result, "ncclRecv", peer};
        }
      }
      from += sends;
      to += receives;
    }
    return {};
  }

  static bool is_accepted(ncclResult_t result) {
    return result == ncclSuccess || result == ncclInProgress;
  }

  void accept(ncclResult_t result, const char* call, int peer = -1) {
    if (!is_accepted(result)) {
      fail_with(fmt::format("{}{}: {}", call, peer < 0 ? "" : fmt::format(" with rank {}", peer),
                            ncclGetErrorString(result)));
    }
  }

  /// Throws where a rank has aborted, or this rank or NCCL has failed.
  void check_state() {
    if (comm_ != nullptr) {
      end_where_aborted();
    }
    require(failure_.empty(), Kind::communication, "{}", failure_);
    const ncclResult_t state = async_state();
    if (!is_accepted(state)) {
      fail_with(fmt::format("{}: {}", ncclGetErrorString(state), ncclGetLastError(comm_)));
    }
  }

  /// Waits until NCCL has taken the last call. It connects ranks at their first transfers, so this
  /// may need the peers.
  void settle() {
    while (async_state() == ncclInProgress) {
      check_state();
      std::this_thread::yield();
    }
    check_state();
  }

  ncclResult_t async_state() {
    ncclResult_t state = ncclSuccess;
    accept(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError");
    return state;
  }

  void end_where_aborted() {
    try {
      host_.throw_if_aborted();
    } catch (const Error& error) {
      end(error.text());
    }
  }

  [[noreturn]] void fail_with(const std::string& what) {
    end(fmt::format("NCCL failed on rank {} in phase {}: {}", host_.rank(),
                    name_of(host_.progress().phase()), what));
    fail(Kind::communication, "{}", failure_);
  }

  void end(const std::string& why) noexcept {
    failure_ = failure_.empty() ? why : failure_;
    if (ncclComm_t comm = std::exchange(comm_, nullptr)) {
      ncclCommAbort(comm);
    }
  }

  Communicator<Cpu>& host_;
  std::mutex mutex_;
  ncclComm_t comm_ = nullptr;
  std::string failure_;
};

class NcclCommunicator final : public HostMessages<Cuda> {
 public:
  /// `own_host` is `host`, or null where it is borrowed.
  NcclCommunicator(Communicator<Cpu>& host, std::unique_ptr<Communicator<Cpu>> own_host, int device)
      : HostMessages<Cuda>(host), own_host_(std::move(own_host)), device_(device) {
    ncclUniqueId id{};
    vote(host, [&] {
      lane_.emplace(device);
      if (host.rank() == 0) {
        const ncclResult_t result = ncclGetUniqueId(&id);
        require(result == ncclSuccess, Kind::communication, "ncclGetUniqueId failed: {}",
                ncclGetErrorString(result));
      }
    });
    host.broadcast(std::as_writable_bytes(Span<char>(id.internal)), 0);
    link_ = std::make_shared<NcclLink>(host, id);
  }

  void all_to_all(Stream<Cuda>& stream, Span<const std::byte> send,
                  Span<const std::int64_t> send_bytes, Span<std::byte> receive,
                  Span<const std::int64_t> receive_bytes) override {
    const InPhase phase(progress(), Phase::exchanging);
    const InCollective entered(progress());
    const Parts parts{send, send_bytes, receive, receive_bytes};
    check_own(parts);
    lane_->given.record(stream);
    lane_->given.hold(lane_->queue);
    link_->exchange(lane_->queue, parts);
    copy_own(parts);
    lane_->done.record(lane_->queue);
    lane_->done.hold(stream);
    stream.peer_waits().add(link_);
  }

  void abort(std::string_view why, int exit_code) noexcept override {
    // The host first: it ends the waiting of threads of this rank too.
    HostMessages<Cuda>::abort(why, exit_code);
    link_->abort(fmt::format("rank {}: {}", rank(), why));
  }

  std::unique_ptr<Communicator<Cuda>> duplicate() override {
    std::unique_ptr<Communicator<Cpu>> own = inner().duplicate();
    Communicator<Cpu>& borrowed = *own;
    return std::make_unique<NcclCommunicator>(borrowed, std::move(own), device_);
  }

  Communicator<Cpu>& host() noexcept override { return inner(); }

 private:
  /// The queue of exchanges, and the marks before and after the last one.
  struct Lane {
    explicit Lane(int device) : queue(device) {}

    Stream<Cuda> queue;
    Event<Cuda> given, done;
  };

  void check_own(const Parts& parts) const {
    const auto me = static_cast<std::size_t>(rank());
    require(parts.send_bytes[me] == parts.receive_bytes[me], Kind::communication,
            "all_to_all: expected {} bytes of rank {} for itself: found {}",
            parts.receive_bytes[me], rank(), parts.send_bytes[me]);
  }

  void copy_own(const Parts& parts) {
    const auto before = [&](Span<const std::int64_t> bytes) {
      return std::accumulate(bytes.begin(), bytes.begin() + rank(), std::int64_t{0});
    };
    copy(lane_->queue, parts.send.data() + before(parts.send_bytes),
         parts.send_bytes[static_cast<std::size_t>(rank())],
         parts.receive.data() + before(parts.receive_bytes));
  }

  std::unique_ptr<Communicator<Cpu>> own_host_;
  int device_;
  std::optional<Lane> lane_;
  std::shared_ptr<NcclLink> link_;
};

}  // namespace

std::unique_ptr<Communicator<Cuda>> make_nccl_communicator(Communicator<Cpu>& host, int device) {
  return std::make_unique<NcclCommunicator>(host, nullptr, device);
}

}  // namespace keyshard
