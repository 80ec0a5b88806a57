// A task beside the calling thread: done once, seen when waited for, and waited for at the end.
#include "runtime/side_thread.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SideThread, DoesEachTaskOnceAndInOrder) {
  SideThread thread;
  std::vector<int> done;
  EXPECT_TRUE(thread.wait_for(milliseconds(0)));
  for (int task = 0; task < 1000; ++task) {
    thread.begin([&done, task] { done.push_back(task); });
    ASSERT_TRUE(thread.wait_for(seconds(60)));
    ASSERT_EQ(done.size(), static_cast<std::size_t>(task) + 1);
    ASSERT_EQ(done.back(), task);
  }
}

TEST(SideThread, GoesOnBesideTheCallingThread) {
  SideThread thread;
  std::atomic<bool> go{false};
  thread.begin([&] {
    while (!go) {
      std::this_thread::yield();
    }
  });
  EXPECT_FALSE(thread.wait_for(milliseconds(1)));
  EXPECT_THROW(thread.begin([] {}), Error);
  go = true;
  EXPECT_TRUE(thread.wait_for(seconds(60)));
  EXPECT_NO_THROW(thread.begin([] {}));
}

TEST(SideThread, WaitsForItsTaskAtItsEnd) {
  for (int i = 0; i < 100; ++i) {
    bool done = false;
    {
      SideThread thread;
      thread.begin([&] {
        std::this_thread::yield();
        done = true;
      });
    }
    EXPECT_TRUE(done);
  }
}

}  // namespace
}  // namespace keyshard
