// A thread beside the calling one that does one task at a time, for work that goes on while the
// calling thread does other work.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace keyshard {

class SideThread {
 public:
  SideThread();

  /// Waits for the task.
  ~SideThread();
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  /// Gives the thread a task, which must not throw, and returns. The task before it is done: throws
  /// Error{invalid_argument} where it is not.
  void begin(std::function<void()> task);

  /// Waits until the task is done, but not longer than `most`; returns whether it is, or there is
  /// none. What the task has written is seen then.
  bool wait_for(std::chrono::milliseconds most);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> task_;  // empty: none is left to do
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace keyshard
