// The double of NCCL finds mistakes that a program may make with NCCL: the same exchange, written
// with the calls of NCCL, without a mistake and with each of some.
#include <thread>

#include <nccl.h>

#include "runtime/event.hpp"
#include "runtime/for_each_cuda.hpp"
#include "tests/sim/sim_test.hpp"

namespace keyshard::testing {
namespace {

enum class Flaw { none, no_wait_before, no_wait_after, not_settled, count, host_pointer };

struct Twice {
  const std::int64_t* from;
  std::int64_t* to;

  KEYSHARD_HD void operator()(std::int64_t i) const { to[i] = 2 * from[i]; }
};

constexpr std::int64_t kItems = 3000;  // more than is under way between two ranks at once

/// One of two ranks.
class Rank {
 public:
  Rank(ncclUniqueId id, int me, Flaw flaw) : me_(me), flaw_(flaw) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    EXPECT_EQ(ncclCommInitRankConfig(&comm_, 2, id, me, &config), ncclInProgress);
    EXPECT_TRUE(settled());
  }

  /// Doubles numbers, exchanges them, doubles them again. Returns whether all went well.
  bool run() {
    std::vector<std::int64_t> mine, expected;
    for (std::int64_t i = 0; i < kItems; ++i) {
      mine.push_back(me_ * 10'000 + i);
      expected.push_back(4 * ((1 - me_) * 10'000 + i));
    }
    const Buffer<std::int64_t, Cuda> given = to_device(compute_, mine);
    Buffer<std::int64_t, Cuda> sent(compute_, kItems), received(compute_, kItems),
        result(compute_, kItems);
    for_each(compute_, kItems, Twice{given.data(), sent.data()});
    if (flaw_ != Flaw::no_wait_before) {
      before_.record(compute_);
      before_.hold(exchanging_);
    }
    bool right = give(flaw_ == Flaw::host_pointer ? mine.data() : sent.data(), received.data());
    if (flaw_ != Flaw::no_wait_after) {
      after_.record(exchanging_);
      after_.hold(compute_);
    }
    for_each(compute_, kItems, Twice{received.data(), result.data()});
    right = right && finished(compute_) && to_host(compute_, result) == expected;
    return end() && right;
  }

 private:
  bool settled() {
    ncclResult_t state = ncclInProgress;
    while (state == ncclInProgress) {
      ncclCommGetAsyncError(comm_, &state);
      std::this_thread::yield();
    }
    return state == ncclSuccess;
  }

  bool give(const std::int64_t* from, std::int64_t* to) {
    const std::size_t bytes = kItems * sizeof(std::int64_t);
    const std::size_t less = flaw_ == Flaw::count && me_ == 0 ? 8 : 0;
    ncclGroupStart();
    const ncclResult_t sent =
        ncclSend(from, bytes - less, ncclUint8, 1 - me_, comm_, exchanging_.handle());
    const ncclResult_t received =
        ncclRecv(to, bytes, ncclUint8, 1 - me_, comm_, exchanging_.handle());
    ncclGroupEnd();
    return sent == ncclSuccess && received == ncclSuccess &&
           (flaw_ == Flaw::not_settled || settled());
  }

  /// Waits for the stream, or for a failure of NCCL.
  bool finished(Stream<Cuda>& stream) {
    while (!sim::is_done(sim::queue_of(stream.handle()))) {
      ncclResult_t state = ncclSuccess;
      if (flaw_ != Flaw::not_settled) {
        ncclCommGetAsyncError(comm_, &state);
      }
      if (state != ncclSuccess) {
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  }

  /// Ends the communicator, in peace or by force.
  bool end() {
    const bool fine = settled() && finished(exchanging_);
    if (fine) {
      ncclCommFinalize(comm_);
    }
    if (fine && settled()) {
      return ncclCommDestroy(comm_) == ncclSuccess;
    }
    ncclCommAbort(comm_);
    return false;
  }

  int me_;
  Flaw flaw_;
  ncclComm_t comm_ = nullptr;
  // The queue of exchanges is the newest one: it goes first where queues go newest first.
  Stream<Cuda> compute_{0}, exchanging_{0};
  Event<Cuda> before_, after_;
};

/// Whether two ranks notice the flaw.
bool is_noticed(Flaw flaw) {
  ncclUniqueId id;
  EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  bool right[2] = {};
  std::vector<std::thread> ranks;
  for (int me = 0; me < 2; ++me) {
    ranks.emplace_back([&, me] { right[me] = Rank(id, me, flaw).run(); });
  }
  for (std::thread& rank : ranks) {
    rank.join();
  }
  return !right[0] || !right[1];
}

/// Of 20 seeds in both orders of queues.
int times_noticed(Flaw flaw) {
  int times = 0;
  for_seeds(20, [&](int) { times += is_noticed(flaw); });
  return times;
}

using NcclDouble = SimTest;

TEST_F(NcclDouble, FindsNothingWhereNothingIsWrong) { EXPECT_EQ(times_noticed(Flaw::none), 0); }

TEST_F(NcclDouble, FindsAnExchangeThatDoesNotWaitForTheKernelBefore) {
  EXPECT_GE(times_noticed(Flaw::no_wait_before), 20);
}

TEST_F(NcclDouble, FindsAKernelThatDoesNotWaitForTheExchange) {
  EXPECT_GE(times_noticed(Flaw::no_wait_after), 20);
}

TEST_F(NcclDouble, FindsAnEventThatIsRecordedBeforeNcclHasTakenTheGroup) {
  EXPECT_GE(times_noticed(Flaw::not_settled), 20);
}

TEST_F(NcclDouble, FindsAnotherSizeOnOneSideAlways) { EXPECT_EQ(times_noticed(Flaw::count), 40); }

TEST_F(NcclDouble, FindsMemoryOfTheHostAlways) { EXPECT_EQ(times_noticed(Flaw::host_pointer), 40); }

}  // namespace
}  // namespace keyshard::testing
