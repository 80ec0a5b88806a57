// Text without random access: many compressed files, each a block; pipes and standard input; and
// how the order of reading is chosen.
#include "io/text_files.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/make_reader.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kFiles = 20;

/// Records `first` to `first + count`, with a header and an empty line.
std::string records(std::int64_t first, std::int64_t count) {
  std::string text = "y,c\n\n";
  for (std::int64_t i = first; i < first + count; ++i) {
    text += fmt::format("{},{}\n", i, i * i);
  }
  return text;
}

DataOptions options_of(std::vector<std::string> files) {
  DataOptions options;
  options.train = std::move(files);
  options.header = true;
  options.window = 7;
  options.columns = {make_column("y", -1, ColumnRole::label), make_column("c", -1, ColumnRole::id)};
  return options;
}

/// 20 compressed files of 1 to 20 records, 210 in all.
DataOptions many_files() {
  std::vector<std::string> files;
  std::int64_t first = 0;
  for (std::int64_t f = 0; f < kFiles; ++f) {
    const std::string plain = write_text(fmt::format("part{:02}", f), records(first, f + 1));
    EXPECT_EQ(std::system(fmt::format("gzip -k -f '{}'", plain).c_str()), 0);
    files.push_back(plain + ".gz");
    first += f + 1;
  }
  DataOptions options = options_of(std::move(files));
  options.memory_bytes = 10;
  return options;
}

ReadPlan plan_of(std::int64_t slices, bool shuffle = true) {
  ReadPlan plan;
  plan.batch_size = 32;
  plan.slices = slices;
  plan.seed = 3;
  plan.shuffle = shuffle;
  return plan;
}

ReadOrder order_of(const DataOptions& options, std::int64_t slices) {
  ReadOrder order = ReadOrder::automatic;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    order = make_reader(options, Split::train, plan_of(slices), communicator, stream)->order();
  });
  return order;
}

TEST(TextFiles, AreBlocksWhereTheyFitTheMemoryOrAreMany) {
  DataOptions options = many_files();
  EXPECT_EQ(order_of(options, 16), ReadOrder::files);
  EXPECT_EQ(order_of(options, 32), ReadOrder::stream);
  options.memory_bytes = 1 << 20;
  EXPECT_EQ(order_of(options, 32), ReadOrder::blocks);
  options.order = ReadOrder::stream;
  EXPECT_EQ(order_of(options, 16), ReadOrder::stream);
}

TEST(TextFiles, ThatAreBlocksGiveTheSameBatchesOnAnyNumberOfRanks) {
  const DataOptions options = many_files();
  const auto one = read_steps(options, Split::train, plan_of(16), 1);
  std::vector<int> seen(210);
  for (const StepSamples& step : one) {
    for (const auto& [number, sample] : step) {
      EXPECT_EQ(sample.label, static_cast<float>(sample.record));
      ++seen[static_cast<std::size_t>(sample.record)];
    }
  }
  EXPECT_EQ(seen, std::vector<int>(210, 1));
  for (const int ranks : testing::rank_counts({2, 3, 5})) {
    EXPECT_EQ(read_steps(options, Split::train, plan_of(16), ranks), one) << ranks;
  }
}

TEST(TextFiles, ThatAreBlocksHaveTheirOrderInputOrderUnshuffled) {
  DataOptions options = many_files();
  DataOptions plain = options;
  for (std::string& path : plain.train) {
    path.resize(path.size() - 3);
  }
  options.order = ReadOrder::files;
  EXPECT_EQ(read_in_order(options), read_in_order(plain));
}

TEST(TextFiles, ThatAreBlocksGoOnFromAnyPosition) {
  const DataOptions options = many_files();
  const auto whole = read_steps(options, Split::train, plan_of(16), 1, {.steps = 12, .from = {}});
  for (const std::int64_t at : {1, 5, 8, 11}) {
    ReaderPosition position;
    read_steps(options, Split::train, plan_of(16), 2, {.steps = at, .from = {}}, &position);
    const auto rest = read_steps(options, Split::train, plan_of(16), 3,
                                 {.steps = 12 - at, .from = position, .seek = true});
    EXPECT_EQ(rest, std::vector<StepSamples>(whole.begin() + at, whole.end())) << at;
  }
}

TEST(TextFiles, MayBePipes) {
  const DataOptions file = options_of({write_text("plain", records(0, 100))});
  DataOptions pipe = file;
  pipe.train[0] = write_text("pipe", "");
  std::filesystem::remove(pipe.train[0]);
  ASSERT_EQ(mkfifo(pipe.train[0].c_str(), 0600), 0);
  for (const ReadOrder order : {ReadOrder::automatic, ReadOrder::stream}) {
    for (const int ranks : {1, 2, 3}) {
      std::thread writer([&] { std::ofstream(pipe.train[0]) << records(0, 100); });
      DataOptions read = pipe, expected = file;
      read.order = expected.order = order;
      const auto found =
          read_steps(read, Split::train, plan_of(8), ranks, {.steps = 7, .from = {}});  // 2 epochs
      writer.join();
      EXPECT_EQ(found, read_steps(expected, Split::train, plan_of(8), 1, {.steps = 7, .from = {}}));
    }
  }
}

TEST(TextFiles, MayBeStandardInput) {
  const std::string path = write_text("plain", records(0, 100));
  const int before = dup(STDIN_FILENO);
  const int file = open(path.c_str(), O_RDONLY);
  ASSERT_GE(dup2(file, STDIN_FILENO), 0);
  const auto found = read_in_order(options_of({"-"}));
  dup2(before, STDIN_FILENO);
  close(before);
  close(file);
  EXPECT_EQ(found, read_in_order(options_of({path})));
}

TEST(TextFiles, NameTheBytesThatDoNotFit) {
  DataOptions options = many_files();
  options.order = ReadOrder::blocks;
  EXPECT_NE(complaint(options).find("part01.gz: unpacks to more than what is left of "
                                    "data.memory_bytes = 10"),
            std::string::npos)
      << complaint(options);
}

}  // namespace
}  // namespace keyshard::testing
