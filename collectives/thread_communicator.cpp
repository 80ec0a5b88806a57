#include "collectives/thread_communicator.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// What a rank brings to a meeting. `name` and `size` must agree on all ranks.
struct Call {
  const char* name = "";
  std::size_t size = 0;
  const std::byte* send = nullptr;
  const std::int64_t* send_bytes = nullptr;
  std::byte* receive = nullptr;
  const std::int64_t* receive_bytes = nullptr;
};

/// Where the ranks meet. A meeting has two halves: all arrive with their calls, each copies what is
/// its own, all leave.
class Meeting {
 public:
  explicit Meeting(int ranks) : calls_(static_cast<std::size_t>(ranks)) {}

  /// Publishes the call of a rank and waits for all others. Throws what ended the job, or a
  /// mismatch of calls.
  const std::vector<Call>& arrive(int rank, const Call& call) {
    {
      const std::lock_guard lock(mutex_);
      calls_[static_cast<std::size_t>(rank)] = call;
    }
    wait();
    for (std::size_t other = 0; other < calls_.size(); ++other) {
      if (std::strcmp(calls_[other].name, call.name) != 0 || calls_[other].size != call.size) {
        const std::string found =
            fmt::format("{} of {} bytes on rank {}, {} of {} bytes on rank {}", call.name,
                        call.size, rank, calls_[other].name, calls_[other].size, other);
        abort(fmt::format("expected the same collective on all ranks: found {}", found));
        throw_if_aborted();
      }
    }
    return calls_;
  }

  void wait() {
    std::unique_lock lock(mutex_);
    require(why_.empty(), Kind::communication, "{}", why_);
    const std::uint64_t generation = generation_;
    if (++waiting_ == calls_.size()) {
      waiting_ = 0;
      ++generation_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return generation_ != generation || !why_.empty(); });
    }
    if (generation_ == generation && !why_.empty()) {
      lock.unlock();
      throw_if_aborted();
    }
  }

  void abort(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (why_.empty()) {
      why_ = why;
    }
    changed_.notify_all();
  }

  void throw_if_aborted() {
    const std::lock_guard lock(mutex_);
    require(why_.empty(), Kind::communication, "{}", why_);
  }

  /// What duplicates share: made by the first rank that asks for the n-th one.
  std::shared_ptr<Meeting> duplicate(std::size_t number) {
    const std::lock_guard lock(mutex_);
    while (duplicates_.size() <= number) {
      duplicates_.push_back(std::make_shared<Meeting>(static_cast<int>(calls_.size())));
    }
    return duplicates_[number];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call> calls_;
  std::size_t waiting_ = 0;
  std::uint64_t generation_ = 0;
  std::string why_;
  std::vector<std::shared_ptr<Meeting>> duplicates_;
};

class ThreadCommunicator final : public Communicator<Cpu> {
 public:
  ThreadCommunicator(std::shared_ptr<Meeting> meeting, int rank, int size)
      : meeting_(std::move(meeting)), rank_(rank), size_(size) {}

  int rank() const noexcept override { return rank_; }

  int size() const noexcept override { return size_; }

  int local_size() const noexcept override { return size_; }

  void all_to_all(Stream<Cpu>&, Span<const std::byte> send, Span<const std::int64_t> send_bytes,
                  Span<std::byte> receive, Span<const std::int64_t> receive_bytes) override {
    const InPhase phase(progress(), Phase::exchanging);
    const auto& calls = meeting_->arrive(rank_, {"all_to_all", 0, send.data(), send_bytes.data(),
                                                 receive.data(), receive_bytes.data()});
    std::string mismatch;
    std::byte* to = receive.data();
    for (int from = 0; from < size_; ++from) {
      const Call& call = calls[static_cast<std::size_t>(from)];
      const std::byte* part = call.send;
      for (int r = 0; r < rank_; ++r) {
        part += call.send_bytes[r];
      }
      const std::int64_t expected = receive_bytes[static_cast<std::size_t>(from)];
      if (call.send_bytes[rank_] != expected) {
        mismatch = fmt::format("all_to_all: rank {} expects {} bytes of rank {}: found {}", rank_,
                               expected, from, call.send_bytes[rank_]);
        break;
      }
      if (expected > 0) {
        std::memcpy(to, part, static_cast<std::size_t>(expected));
      }
      to += expected;
    }
    leave(mismatch);
  }

  void all_gather(Span<const std::byte> mine, Span<std::byte> all) override {
    const auto& calls = meeting_->arrive(
        rank_, {"all_gather", mine.size(), mine.data(), nullptr, all.data(), nullptr});
    std::string mismatch;
    if (all.size() != mine.size() * static_cast<std::size_t>(size_)) {
      mismatch = fmt::format("all_gather: expected room for {} x {} bytes on rank {}: found {}",
                             size_, mine.size(), rank_, all.size());
    } else {
      for (std::size_t from = 0; from < calls.size() && !mine.empty(); ++from) {
        std::memcpy(all.data() + from * mine.size(), calls[from].send, mine.size());
      }
    }
    leave(mismatch);
  }

  void broadcast(Span<std::byte> inout, int root) override {
    const auto& calls = meeting_->arrive(
        rank_, {"broadcast", inout.size(), inout.data(), nullptr, inout.data(), nullptr});
    if (rank_ != root && !inout.empty()) {
      std::memcpy(inout.data(), calls[static_cast<std::size_t>(root)].send, inout.size());
    }
    leave("");
  }

  void all_reduce(Span<std::int64_t> inout, Reduction operation) override {
    reduce(inout, operation);
  }

  void all_reduce(Span<double> inout, Reduction operation) override {
    require(operation != Reduction::sum, Kind::invalid_argument,
            "expected min or max: floats are added by folds only");
    reduce(inout, operation);
  }

  void barrier() override {
    meeting_->arrive(rank_, {"barrier"});
    leave("");
  }

  void abort(std::string_view why, int) noexcept override {
    meeting_->abort(fmt::format("rank {}: {}", rank_, why));
  }

  std::unique_ptr<Communicator<Cpu>> duplicate() override {
    barrier();
    return std::make_unique<ThreadCommunicator>(meeting_->duplicate(duplicates_++), rank_, size_);
  }

 private:
  /// The second half of a meeting: buffers are free again when all have left. A mismatch that one
  /// rank saw fails on all.
  void leave(const std::string& mismatch) {
    if (!mismatch.empty()) {
      meeting_->abort(mismatch);
      meeting_->throw_if_aborted();
    }
    meeting_->wait();
    progress().advance();
  }

  template <class T>
  void reduce(Span<T> inout, Reduction operation) {
    const auto& calls = meeting_->arrive(
        rank_, {"all_reduce", inout.size_bytes(), reinterpret_cast<const std::byte*>(inout.data()),
                nullptr, nullptr, nullptr});
    std::vector<T> result(inout.size());
    for (std::size_t from = 0; from < calls.size(); ++from) {
      const T* values = reinterpret_cast<const T*>(calls[from].send);
      for (std::size_t i = 0; i < result.size(); ++i) {
        result[i] = from == 0                     ? values[i]
                    : operation == Reduction::sum ? static_cast<T>(result[i] + values[i])
                    : operation == Reduction::min ? std::min(result[i], values[i])
                                                  : std::max(result[i], values[i]);
      }
    }
    meeting_->wait();  // everyone has read
    std::copy(result.begin(), result.end(), inout.begin());
    progress().advance();
  }

  std::shared_ptr<Meeting> meeting_;
  int rank_;
  int size_;
  std::size_t duplicates_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Communicator<Cpu>>> make_thread_communicators(int ranks) {
  require(ranks >= 1, Kind::invalid_argument, "expected at least one rank: found {}", ranks);
  const auto meeting = std::make_shared<Meeting>(ranks);
  std::vector<std::unique_ptr<Communicator<Cpu>>> communicators;
  for (int rank = 0; rank < ranks; ++rank) {
    communicators.push_back(std::make_unique<ThreadCommunicator>(meeting, rank, ranks));
  }
  return communicators;
}

}  // namespace keyshard
