// Doubles of the NCCL calls that keyshard makes. Ranks are processes, or threads of one process. A
// group is one operation of its queue: it moves all its transfers side by side, and is asked again
// while a peer is missing. Communicators are non-blocking: a group comes to its queue some polls of
// ncclCommGetAsyncError after its end. Failures are those that NCCL may leave as a hang: another
// size on the other side is an asynchronous error with the names of both ranks. After a failure the
// group stays in its queue until the communicator is aborted, as a kernel does.
#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nccl.h>
#include <unistd.h>

#include "tests/sim/device.hpp"
#include "tests/sim/memory.hpp"
#include "tests/sim/nccl.hpp"
#include "tests/sim/nccl_board.hpp"
#include "tests/sim/queues.hpp"

namespace keyshard::sim {
namespace {

std::atomic<bool> peers_noticed{true};

/// The transfers that a group gives to a queue.
struct Group {
  Queue* queue;
  std::vector<Transfer> transfers;
};

/// One rank's end of a communicator.
struct End {
  End(const std::string& name, int ranks, int me)
      : board(name, ranks, me),
        sent(static_cast<std::size_t>(ranks)),
        received(static_cast<std::size_t>(ranks)),
        draw(options().seed * 100 + static_cast<std::uint64_t>(me)) {}

  Board board;
  std::vector<std::uint64_t> sent, received;  ///< transfers given so far, by peer
  std::atomic<bool> aborted{false};
  std::atomic<int> under_way{0};  ///< groups in queues
  std::mutex mutex;               ///< of the members below
  Draw draw;
  std::vector<Group> given;  ///< and not yet in their queues
  std::uint64_t polls = 0;   ///< until they are
  bool finalizing = false;
};

/// A transfer that cannot go on since its peer has left.
void notice_absence(End& end, const Transfer& transfer) {
  if (peers_noticed && !transfer.done() && end.board.has_left(transfer.peer)) {
    end.board.fail(
        end.board.me(), ncclRemoteError,
        fmt::format("rank {} has left while rank {} {} it {} bytes", transfer.peer, end.board.me(),
                    transfer.sends ? "sends" : "expects of", transfer.bytes));
  }
}

/// Moves what can be moved; returns whether the group is done. Transfers between two ranks go in
/// order.
bool advance(End& end, std::vector<Transfer>& transfers) {
  if (end.aborted) {
    return true;
  }
  bool all_done = true;
  std::vector<bool> held(static_cast<std::size_t>(2 * end.board.ranks()));
  for (Transfer& transfer : transfers) {
    const auto way = static_cast<std::size_t>(2 * transfer.peer + transfer.sends);
    if (held[way] || transfer.done()) {
      continue;
    }
    const bool gone = end.board.has_left(transfer.peer);  // before the last look at its ring
    end.board.advance(transfer);
    if (gone) {
      notice_absence(end, transfer);
    }
    held[way] = !transfer.done();
    all_done = all_done && transfer.done();
  }
  return all_done && end.board.failure() == ncclSuccess;
}

void start(const std::shared_ptr<End>& end, Group group) {
  ++end->under_way;
  const auto transfers = std::make_shared<std::vector<Transfer>>(std::move(group.transfers));
  enqueue(group.queue, [end, transfers] {
    const bool done = advance(*end, *transfers);
    end->under_way -= done;
    return done;
  });
}

/// Of a communicator that is being finalized.
bool is_quiet(End& end) {
  for (int rank = 0; rank < end.board.ranks(); ++rank) {
    if (peers_noticed && end.board.has_left(rank)) {
      end.board.fail(end.board.me(), ncclRemoteError, fmt::format("rank {} has left", rank));
    }
  }
  return end.under_way == 0 && end.board.all_finished();
}

ncclResult_t state_of(const std::shared_ptr<End>& end) {
  const std::lock_guard lock(end->mutex);
  if (const int failure = end->board.failure(); failure != ncclSuccess) {
    return static_cast<ncclResult_t>(failure);
  }
  if (!end->board.complete() || (end->polls > 0 && --end->polls > 0)) {
    return ncclInProgress;
  }
  for (Group& group : end->given) {
    start(end, std::move(group));
  }
  end->given.clear();
  return end->finalizing && !is_quiet(*end) ? ncclInProgress : ncclSuccess;
}

/// The open groups of the calling thread.
thread_local int depth = 0;
thread_local std::vector<std::pair<std::shared_ptr<End>, Group>> open;
thread_local ncclResult_t refused = ncclSuccess;  ///< what a call in them has met

ncclResult_t add(const std::shared_ptr<End>& end, cudaStream_t stream, ncclDataType_t type,
                 Transfer transfer) {
  if (depth == 0 || state_of(end) != ncclSuccess) {
    return refused = ncclInvalidUsage;
  }
  if (type != ncclUint8 || transfer.peer < 0 || transfer.peer >= end->board.ranks() ||
      (transfer.bytes > 0 && !is_device(transfer.data, transfer.bytes))) {
    return refused = ncclInvalidArgument;
  }
  auto& numbers = transfer.sends ? end->sent : end->received;
  transfer.number = numbers[static_cast<std::size_t>(transfer.peer)]++;
  Queue* queue = queue_of(stream);
  for (auto& [of, group] : open) {
    if (of == end && group.queue == queue) {
      group.transfers.push_back(transfer);
      return ncclSuccess;
    }
  }
  open.push_back({end, Group{queue, {transfer}}});
  return ncclSuccess;
}

}  // namespace

void set_peers_noticed(bool noticed) { peers_noticed = noticed; }

}  // namespace keyshard::sim

using namespace keyshard::sim;

struct ncclComm {
  std::shared_ptr<End> end;
};

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "system error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote error";
    case ncclInProgress:
      return "in progress";
    default:
      return "another error";
  }
}

const char* ncclGetLastError(ncclComm_t comm) { return comm->end->board.failure_text(); }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> made;
  *id = {};
  fmt::format("/keyshard-nccl-{}-{}", getpid(), made++).copy(id->internal, sizeof id->internal - 1);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (ranks < 1 || ranks > kMostRanks || rank < 0 || rank >= ranks || config->blocking != 0) {
    return ncclInvalidArgument;
  }
  try {
    *comm = new ncclComm{std::make_shared<End>(id.internal, ranks, rank)};
  } catch (const std::runtime_error&) {
    return ncclSystemError;
  }
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  *error = state_of(comm->end);
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const std::lock_guard lock(comm->end->mutex);
  comm->end->finalizing = true;
  comm->end->board.finish();
  return ncclInProgress;
}

/// Waits for the peers where the communicator was not finalized; here this is an error. So is what
/// was sent to this rank and never received, which NCCL does not notice.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (!comm->end->finalizing || state_of(comm->end) != ncclSuccess) {
    return ncclInvalidUsage;
  }
  const Board& board = comm->end->board;
  for (int rank = 0; rank < board.ranks(); ++rank) {
    if (board.left_over(rank) > 0) {
      lose_device(fmt::format("rank {} has sent what rank {} does not receive", rank, board.me()));
    }
  }
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  comm->end->aborted = true;
  comm->end->board.leave();
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  ++depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (depth == 0) {
    return ncclInvalidUsage;
  }
  if (--depth > 0) {
    return ncclSuccess;
  }
  const auto groups = std::exchange(open, {});
  if (const ncclResult_t result = std::exchange(refused, ncclSuccess); result != ncclSuccess) {
    return result;  // nothing of the group is done
  }
  for (const auto& [end, group] : groups) {
    const std::lock_guard lock(end->mutex);
    end->given.push_back(group);
    end->polls = 1 + end->draw() % 3;
  }
  return groups.empty() ? ncclSuccess : ncclInProgress;
}

ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return add(comm->end, stream, type,
             {true, const_cast<char*>(static_cast<const char*>(from)), count, peer, 0});
}

ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return add(comm->end, stream, type, {false, static_cast<char*>(to), count, peer, 0});
}

}  // extern "C"
