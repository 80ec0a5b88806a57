#include "collectives/thread_communicator.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// What a rank brings to a meeting. `name`, `size` and `detail` (a root, an operation) must agree
/// on all ranks.
struct Call {
  const char* name = "";
  std::size_t size = 0;
  int detail = 0;
  const std::byte* send = nullptr;
  const std::int64_t* send_bytes = nullptr;
  std::byte* receive = nullptr;
  const std::int64_t* receive_bytes = nullptr;
};

std::string described(const Call& call) {
  return fmt::format("{} ({} bytes, detail {})", call.name, call.size, call.detail);
}

/// Where the ranks meet. A meeting has two halves: all arrive with their calls, each copies what is
/// its own, all leave. An abort ends the waiting of the first half only: in the second half peers
/// still read the buffers of this rank, so it must stay until they have, and they wait for nothing
/// else.
class Meeting {
 public:
  explicit Meeting(int ranks)
      : calls_(static_cast<std::size_t>(ranks)), notes_(calls_.size() * calls_.size()) {}

  /// Publishes the call of a rank and waits for all others. Throws Error{communication} where a
  /// rank has aborted, or where the calls differ.
  const std::vector<Call>& arrive(int rank, const Call& call) {
    {
      std::unique_lock lock(mutex_);
      throw_if_aborted();
      calls_[static_cast<std::size_t>(rank)] = call;
      if (!meet(lock, [&] { return !why_.empty(); })) {
        throw_if_aborted();
      }
    }
    for (std::size_t other = 0; other < calls_.size(); ++other) {
      const Call& theirs = calls_[other];
      if (std::strcmp(theirs.name, call.name) != 0 || theirs.size != call.size ||
          theirs.detail != call.detail) {
        leave(fmt::format(
            "expected the same collective on all ranks: found {} on rank {}, {} on rank {}",
            described(call), rank, described(theirs), other));
      }
    }
    return calls_;
  }

  /// Waits until every rank has copied what is its own. Throws on all ranks where one rank gave a
  /// mismatch.
  void leave(const std::string& mismatch) {
    std::unique_lock lock(mutex_);
    why_ = why_.empty() ? mismatch : why_;
    meet(lock, [] { return false; });
    throw_if_aborted();
  }

  void abort(const std::string& why) {
    const std::lock_guard lock(mutex_);
    why_ = why_.empty() ? why : why_;
    changed_.notify_all();
    for (const auto& duplicate : duplicates_) {
      duplicate->abort(why);
    }
  }

  void check() {
    const std::lock_guard lock(mutex_);
    throw_if_aborted();
  }

  /// What duplicates share: made by the first rank that asks for the n-th one.
  std::shared_ptr<Meeting> duplicate(std::size_t number) {
    const std::lock_guard lock(mutex_);
    throw_if_aborted();
    while (duplicates_.size() <= number) {
      duplicates_.push_back(std::make_shared<Meeting>(static_cast<int>(calls_.size())));
    }
    return duplicates_[number];
  }

  void post(int from, int to, Span<const std::byte> note) {
    const std::lock_guard lock(mutex_);
    notes(from, to).emplace_back(note.begin(), note.end());
  }

  bool poll(int from, int to, Span<std::byte> note) {
    const std::lock_guard lock(mutex_);
    auto& waiting = notes(from, to);
    if (waiting.empty()) {
      return false;
    }
    require(static_cast<std::int64_t>(waiting.front().size()) == note.size(), Kind::communication,
            "expected a note of {} bytes from rank {}: found {}", note.size(), from,
            waiting.front().size());
    std::copy(waiting.front().begin(), waiting.front().end(), note.begin());
    waiting.pop_front();
    return true;
  }

 private:
  /// Waits until every rank is here, or given_up() holds. Returns whether every rank came.
  template <class GivenUp>
  bool meet(std::unique_lock<std::mutex>& lock, const GivenUp& given_up) {
    const std::uint64_t generation = generation_;
    if (++waiting_ == calls_.size()) {
      waiting_ = 0;
      ++generation_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return generation_ != generation || given_up(); });
    }
    return generation_ != generation;
  }

  /// The caller holds the lock.
  void throw_if_aborted() const { require(why_.empty(), Kind::communication, "{}", why_); }

  std::deque<std::vector<std::byte>>& notes(int from, int to) {
    return notes_[static_cast<std::size_t>(from) * calls_.size() + static_cast<std::size_t>(to)];
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Call> calls_;
  std::size_t waiting_ = 0;
  std::uint64_t generation_ = 0;
  std::string why_;
  std::vector<std::shared_ptr<Meeting>> duplicates_;
  std::vector<std::deque<std::vector<std::byte>>> notes_;
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
    const auto& calls = arrive(
        {"all_to_all", 0, 0, send.data(), send_bytes.data(), receive.data(), receive_bytes.data()});
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
    meeting_->leave(mismatch);
  }

  void all_to_all_values(Span<const std::int64_t> send, Span<std::int64_t> receive) override {
    const InPhase phase(progress(), Phase::exchanging);
    const auto ranks = static_cast<std::size_t>(size_);
    const auto& calls = arrive({"all_to_all_values", send.size_bytes(), 0,
                                std::as_bytes(send).data(), nullptr, nullptr, nullptr});
    std::string mismatch;
    if (send.size() != receive.size() || send.size() % size_ != 0) {
      mismatch = fmt::format(
          "all_to_all_values: expected equal parts for {} ranks on rank {}: found {} values to "
          "send and room for {}",
          size_, rank_, send.size(), receive.size());
    } else {
      const std::size_t part = send.size_bytes() / ranks;
      std::byte* to = std::as_writable_bytes(receive).data();
      for (std::size_t from = 0; from < ranks && part > 0; ++from) {
        std::memcpy(to + from * part, calls[from].send + static_cast<std::size_t>(rank_) * part,
                    part);
      }
    }
    meeting_->leave(mismatch);
  }

  void all_gather(Span<const std::byte> mine, Span<std::byte> all) override {
    const auto& calls =
        arrive({"all_gather", mine.size_bytes(), 0, mine.data(), nullptr, all.data(), nullptr});
    std::string mismatch;
    if (all.size() != mine.size() * size_) {
      mismatch = fmt::format("all_gather: expected room for {} x {} bytes on rank {}: found {}",
                             size_, mine.size(), rank_, all.size());
    } else {
      for (std::size_t from = 0; from < calls.size() && !mine.empty(); ++from) {
        std::memcpy(all.data() + from * mine.size(), calls[from].send, mine.size());
      }
    }
    meeting_->leave(mismatch);
  }

  void broadcast(Span<std::byte> inout, int root) override {
    const auto& calls = arrive(
        {"broadcast", inout.size_bytes(), root, inout.data(), nullptr, inout.data(), nullptr});
    if (rank_ != root && !inout.empty()) {
      std::memcpy(inout.data(), calls[static_cast<std::size_t>(root)].send, inout.size());
    }
    meeting_->leave("");
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
    arrive({"barrier"});
    meeting_->leave("");
  }

  void abort(std::string_view why, int) noexcept override {
    meeting_->abort(fmt::format("rank {}: {}", rank_, why));
  }

  void throw_if_aborted() override { meeting_->check(); }

  bool post(int to, Span<const std::byte> note) override {
    meeting_->post(rank_, to, note);
    return true;
  }

  bool poll(int from, Span<std::byte> note) override { return meeting_->poll(from, rank_, note); }

  std::unique_ptr<Communicator<Cpu>> duplicate() override {
    barrier();
    return std::make_unique<ThreadCommunicator>(meeting_->duplicate(duplicates_++), rank_, size_);
  }

  Communicator<Cpu>& host() noexcept override { return *this; }

 private:
  const std::vector<Call>& arrive(const Call& call) {
    const InCollective waits(progress());
    return meeting_->arrive(rank_, call);
  }

  template <class T>
  void reduce(Span<T> inout, Reduction operation) {
    const auto& calls =
        arrive({std::is_integral_v<T> ? "all_reduce of integers" : "all_reduce of floats",
                inout.size_bytes(), static_cast<int>(operation),
                reinterpret_cast<const std::byte*>(inout.data()), nullptr, nullptr, nullptr});
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
    meeting_->leave("");  // everyone has read
    std::copy(result.begin(), result.end(), inout.begin());
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
