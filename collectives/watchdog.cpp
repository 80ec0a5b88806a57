#include "collectives/watchdog.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLaterSeconds = 2;  // how long the other ranks wait for the speaker to end the job

Beat beat_of(const Progress& progress) {
  return {progress.phase(), progress.waiting() ? 1u : 0u, progress.counter(),
          progress.collectives()};
}

}  // namespace

Watchdog::Watchdog(std::unique_ptr<Communicator<Cpu>> beats, const Progress& progress,
                   WatchdogOptions options,
                   std::function<void(const std::string& message)> on_stuck)
    : beats_(std::move(beats)),
      progress_(progress),
      options_(options),
      on_stuck_(std::move(on_stuck)),
      sent_(static_cast<std::size_t>(beats_->size())),
      taken_(sent_.size()) {
  require(options.limits.seconds > 0 && options.beat_ms > 0, Kind::invalid_argument,
          "expected a watchdog limit and a beat above 0: found {} s and {} ms",
          options.limits.seconds, options.beat_ms);
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() { stop(); }

void Watchdog::end() {
  beats_->barrier();  // still watched: a rank that does not come is named
  stop();
  std::vector<std::int64_t> due(sent_.size());
  beats_->all_to_all_values(sent_, due);
  Beat beat;
  for (std::size_t rank = 0; rank < due.size(); ++rank) {
    while (taken_[rank] < due[rank]) {
      if (take_beat(static_cast<int>(rank), beat)) {
        continue;
      }
      std::this_thread::yield();
    }
  }
}

void Watchdog::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Watchdog::watch() {
  StuckDetector detector(beats_->size(), options_.limits);
  const std::chrono::milliseconds beat(options_.beat_ms);
  // A clock that counts only while this process runs: a rank that was stopped itself then blames
  // nobody.
  Clock::duration now{};
  auto before = Clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    try {
      if (beat_and_judge(detector, std::chrono::duration<double>(now).count())) {
        return;
      }
    } catch (const std::exception& error) {
      on_stuck_(fmt::format("rank {}: beats failed: {}", beats_->rank(), error.what()));
      return;
    }
    lock.lock();
    stopped_.wait_for(lock, beat, [&] { return stopping_; });
    const auto after = Clock::now();
    now += std::min<Clock::duration>(after - before, 2 * beat);
    before = after;
  }
}

bool Watchdog::beat_and_judge(StuckDetector& detector, double now) {
  const Beat mine = beat_of(progress_);
  detector.hear(beats_->rank(), mine, now);
  for (int rank = 0; rank < beats_->size(); ++rank) {
    if (rank == beats_->rank()) {
      continue;
    }
    for (Beat beat; take_beat(rank, beat);) {
      detector.hear(rank, beat, now);
    }
    sent_[static_cast<std::size_t>(rank)] +=
        beats_->post(rank, std::as_bytes(Span<const Beat>(&mine, 1)));
  }

  const std::optional<StuckRank> stuck = detector.find(now);
  if (!stuck) {
    found_.reset();
    return false;
  }
  found_ = found_.value_or(now);
  if (speaker(detector, stuck->rank, now) != beats_->rank() && now - *found_ < kLaterSeconds) {
    return false;
  }
  on_stuck_(stuck->message);
  return true;
}

int Watchdog::speaker(const StuckDetector& detector, int stuck, double now) const {
  for (int rank = 0; rank < beats_->size(); ++rank) {
    if (rank != stuck && detector.is_heard(rank, now)) {
      return rank;
    }
  }
  return stuck;
}

bool Watchdog::take_beat(int rank, Beat& beat) {
  const bool taken = beats_->poll(rank, std::as_writable_bytes(Span<Beat>(&beat, 1)));
  taken_[static_cast<std::size_t>(rank)] += taken;
  return taken;
}

}  // namespace keyshard
