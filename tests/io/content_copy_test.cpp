#include "io/content_copy.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

TEST(ContentCopy, IsSavedAsTheContentWasWhenItWasCopied) {
  TestState state;
  for (const int ranks : {1, 2, 3}) {
    for (const bool owned : {false, true}) {
      SCOPED_TRACE(fmt::format("{} ranks, owners {}", ranks, owned));
      state.owners = owned ? std::vector<std::vector<std::int64_t>>{{}, {ranks - 1}, {0}}
                           : std::vector<std::vector<std::int64_t>>();
      const TestFolder folder;
      run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        CheckpointContent content = state.content(communicator.rank(), ranks);
        std::vector<float> weights = state.dense("weights"), m = state.dense("state/m");
        content.dense = {{"weights", ElementType::f32, {4, 3}, weights.data()},
                         {"state/m", ElementType::f32, {12}, m.data()}};
        const CheckpointContent copy = copy_of(content, communicator.rank(), ranks, stream);
        // The training goes on.
        for (TableSource& table : content.tables) {
          table.copy = [](auto...) { FAIL() << "the copy borrows its rows"; };
        }
        weights.assign(weights.size(), -1);
        m.assign(m.size(), -1);
        LocalFileSystem files;
        CheckpointWriter(files, folder.path(), communicator, stream).save(copy, {});
      });
      expect_loads(folder / "step-000007", state, 2);
    }
  }
}

TEST(ContentCopy, TakesTheBytesOfKeysColumnsAndDenseParts) {
  const TestState state;
  CheckpointContent content = state.content(0, 1);
  content.dense = {{"weights", ElementType::f32, {4, 3}, nullptr}};
  std::int64_t rows[] = {0, 0};
  for (std::int64_t shard = 0; shard < state.shards; ++shard) {
    rows[0] += std::ssize(state.keys_of(0, shard));
    rows[1] += std::ssize(state.keys_of(1, shard));
  }
  // Rows of 3 + 1 + 3 and of 2 + 1 numbers of 4 bytes, and a key of 8.
  EXPECT_EQ(bytes_of(content), rows[0] * (8 + 28) + rows[1] * (8 + 12) + 48);
}

TEST(ContentCopy, FailsAsItsTablesDo) {
  run_ranks(1, 2, [](Communicator<Cpu>&, Stream<Cpu>& stream) {
    CheckpointContent content = TestState().content(0, 1);
    content.tables[1].copy = [](auto...) { fail(Kind::io, "no store"); };
    EXPECT_THROW(copy_of(content, 0, 1, stream), Error);
    content = TestState().content(0, 1);
    content.tables[0].rows.pop_back();
    EXPECT_THROW(copy_of(content, 0, 1, stream), Error);
  });
}

}  // namespace
}  // namespace keyshard::testing
