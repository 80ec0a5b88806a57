#include "tests/sim/queues.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/sim/memory.hpp"

namespace keyshard::sim {

using Clock = std::chrono::steady_clock;

struct Mark {
  bool timed = false;
  Clock::time_point passed = {};  ///< by the last record that was passed
  std::uint64_t asked = 0;        ///< number of the last record that was given
  std::uint64_t reached = 0;      ///< and of the last one that was passed
  int users = 1;                  ///< its owner, and operations that name it
};

struct Queue {
  struct Operation {
    std::function<bool()> run = {};
    Mark* mark = nullptr;  ///< of a record or a hold
    std::uint64_t number = 0;
    bool holds = false;  ///< may not go before `mark` has reached `number`
  };

  std::deque<Operation> operations;
  bool dropped = false;
};

namespace {

constexpr std::chrono::milliseconds kIdle{50};
constexpr std::chrono::seconds kStuck{30};

struct Device {
  std::recursive_mutex mutex;
  std::vector<std::unique_ptr<Queue>> queues;  // in the order of their making
  Draw draw{1};
  Options options;
  Clock::time_point driven = Clock::now();
  std::int64_t operations = 0;
  std::string failure;  // of the idle driver: the next host call throws it
};

Device& device() {
  static Device one;
  return one;
}

void release_mark(Mark* mark) {
  if (--mark->users == 0) {
    delete mark;
  }
}

bool may_go(const Queue& queue) {
  if (queue.operations.empty()) {
    return false;
  }
  const Queue::Operation& first = queue.operations.front();
  return !first.holds || first.mark->reached >= first.number;
}

/// Runs the first operation of a queue; false where it must be asked again.
bool run_first(Queue& queue) {
  const Opened opened;
  Queue::Operation& first = queue.operations.front();
  if (first.run && !first.run()) {
    return false;
  }
  if (first.mark != nullptr) {
    first.mark->reached = std::max(first.mark->reached, first.number);
    first.mark->passed = first.holds ? first.mark->passed : Clock::now();
    release_mark(first.mark);
  }
  queue.operations.pop_front();
  ++device().operations;
  return true;
}

void forget_dropped() {
  std::erase_if(device().queues, [](const std::unique_ptr<Queue>& queue) {
    return queue->dropped && queue->operations.empty();
  });
}

/// Runs one operation of some queue; false where nothing could move.
bool step() {
  std::vector<Queue*> candidates;
  for (const std::unique_ptr<Queue>& queue : device().queues) {
    if (may_go(*queue)) {
      candidates.push_back(queue.get());
    }
  }
  while (!candidates.empty()) {
    const std::size_t i = device().options.queues == Queues::newest_first
                              ? candidates.size() - 1
                              : device().draw() % candidates.size();
    Queue& queue = *candidates[i];
    candidates.erase(candidates.begin() + static_cast<std::ptrdiff_t>(i));
    if (run_first(queue)) {
      forget_dropped();
      return true;
    }
  }
  return false;
}

/// A failed operation leaves the queues empty: the device is lost.
void lose_device() {
  for (const std::unique_ptr<Queue>& queue : device().queues) {
    for (const Queue::Operation& operation : queue->operations) {
      if (operation.mark != nullptr) {
        release_mark(operation.mark);
      }
    }
    queue->operations.clear();
  }
  forget_dropped();
}

/// Drives the queues while no host call does.
class IdleDriver {
 public:
  IdleDriver() : thread_([this] { work(); }) {}

  ~IdleDriver() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kIdle, [this] { return stop_; })) {
      const std::lock_guard all(device().mutex);
      if (Clock::now() - device().driven < kIdle) {
        continue;
      }
      try {
        const Opened opened;
        for (int i = 0; i < 64 && step(); ++i) {
        }
      } catch (const Failure& failure) {
        device().failure = failure.what();
        lose_device();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

/// Runs work until finished() holds.
template <class Finished>
void run_until(const Finished& finished) {
  auto moved_last = Clock::now();
  for (;;) {
    {
      const std::lock_guard lock(device().mutex);
      device().driven = Clock::now();
      if (!device().failure.empty()) {
        throw Failure(std::exchange(device().failure, {}));
      }
      try {
        const Opened opened;  // once for all operations of this wait, for opening is slow
        bool moved = false;
        while (!finished() && step()) {
          moved = true;
        }
        device().driven = Clock::now();
        if (finished()) {
          return;
        }
        moved_last = moved ? device().driven : moved_last;
      } catch (const Failure&) {
        lose_device();
        throw;
      }
    }
    if (Clock::now() - moved_last > kStuck) {
      throw Failure(
          "the device hangs: an operation waits for an event or a peer that does not come");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

/// What a device has done by itself when it is asked: now and then an operation or a few.
void go_on() {
  device().driven = Clock::now();
  if (!device().failure.empty()) {
    throw Failure(std::exchange(device().failure, {}));
  }
  const std::uint64_t drawn = device().draw() % 16;
  if (drawn > 3) {
    return;
  }
  try {
    const Opened opened;
    for (std::uint64_t steps = 0; steps <= drawn && step(); ++steps) {
    }
  } catch (const Failure&) {
    lose_device();
    throw;
  }
}

bool all_empty() {
  return std::all_of(device().queues.begin(), device().queues.end(),
                     [](const auto& queue) { return queue->operations.empty(); });
}

}  // namespace

void configure(const Options& options) {
  const std::lock_guard lock(device().mutex);
  if (!all_empty()) {
    throw Failure("options change while work is queued");
  }
  device().options = options;
  device().draw = Draw(options.seed);
}

const Options& options() { return device().options; }

Queue* make_queue() {
  device();  // is to stand longer than the driver
  static IdleDriver driver;
  const std::lock_guard lock(device().mutex);
  return device().queues.emplace_back(std::make_unique<Queue>()).get();
}

void drop(Queue* queue) {
  const std::lock_guard lock(device().mutex);
  queue->dropped = true;
  forget_dropped();
}

Mark* make_mark(bool timed) { return new Mark{.timed = timed}; }

void drop(Mark* mark) {
  const std::lock_guard lock(device().mutex);
  release_mark(mark);
}

namespace {

void enqueue(Queue* queue, Queue::Operation operation) {
  const std::lock_guard lock(device().mutex);
  if (operation.mark != nullptr) {
    ++operation.mark->users;
    operation.number = operation.holds ? operation.mark->asked : ++operation.mark->asked;
  }
  queue->operations.push_back(std::move(operation));
}

}  // namespace

void enqueue(Queue* queue, std::function<bool()> operation) {
  enqueue(queue, Queue::Operation{.run = std::move(operation)});
}

void record(Mark* mark, Queue* queue) { enqueue(queue, Queue::Operation{.mark = mark}); }

void hold(Queue* queue, Mark* mark) {
  enqueue(queue, Queue::Operation{.mark = mark, .holds = true});
}

void finish(Queue* queue) {
  run_until([queue] { return queue->operations.empty(); });
}

void finish(Mark* mark) {
  run_until([mark, number = mark->asked] { return mark->reached >= number; });
}

void finish_all() { run_until(all_empty); }

bool is_done(Queue* queue) {
  const std::lock_guard lock(device().mutex);
  go_on();
  return queue->operations.empty();
}

bool is_done(Mark* mark) {
  const std::lock_guard lock(device().mutex);
  go_on();
  return mark->reached >= mark->asked;
}

bool is_timed(Mark* mark) {
  const std::lock_guard lock(device().mutex);
  return mark->timed && mark->asked > 0;
}

double seconds_between(Mark* begin, Mark* end) {
  const std::lock_guard lock(device().mutex);
  return std::chrono::duration<double>(end->passed - begin->passed).count();
}

std::int64_t queued() {
  const std::lock_guard lock(device().mutex);
  std::int64_t waiting = 0;
  for (const std::unique_ptr<Queue>& queue : device().queues) {
    waiting += static_cast<std::int64_t>(queue->operations.size());
  }
  return waiting;
}

std::int64_t operations() {
  const std::lock_guard lock(device().mutex);
  return device().operations;
}

}  // namespace keyshard::sim
