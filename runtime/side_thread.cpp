#include "runtime/side_thread.hpp"

#include <utility>

#include "runtime/error.hpp"

namespace keyshard {

SideThread::SideThread() : thread_([this] { work(); }) {}

SideThread::~SideThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SideThread::begin(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    require(!task_, Kind::invalid_argument,
            "expected one task at a time: found one that is not done");
    task_ = std::move(task);
  }
  changed_.notify_all();
}

bool SideThread::wait_for(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return !task_; });
}

void SideThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return task_ || stopping_; });
    if (!task_) {
      return;
    }
    lock.unlock();
    task_();  // begin() and wait_for() only ask whether there is one
    lock.lock();
    task_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace keyshard
