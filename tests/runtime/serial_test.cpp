// The queue of the calling thread.
#include "runtime/serial.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// Notes the indices it is given.
struct Note {
  std::vector<std::int64_t>* indices;

  void operator()(std::int64_t i) const { indices->push_back(i); }

  void operator()(std::int64_t i, const Solo& team) const {
    indices->push_back(i * team.num_threads());
  }
};

TEST(Serial, RunsIndicesInOrderBeforeItReturns) {
  Serial queue;
  std::vector<std::int64_t> indices, rows;
  for_each(queue, 3, Note{&indices});
  for_each_row(queue, 3, Note{&rows});
  for_each(queue, 0, Note{&rows});
  EXPECT_EQ(indices, (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(rows, indices);
}

static_assert(std::same_as<TaskQueue<Cpu>, Serial>);
static_assert(std::same_as<TaskQueue<Cuda>, Stream<Cuda>>);

}  // namespace
}  // namespace keyshard
