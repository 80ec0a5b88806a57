// Packed files: the same batches as the text they were made of.
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/packed_schema.hpp"
#include "io/packed_writer.hpp"
#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kRecords = 1003;

DataOptions weighted_text() {
  std::string text = "click,w,x,y,c,d\n";
  for (std::int64_t i = 0; i < kRecords; ++i) {
    text += fmt::format("{},{},{},{},{},{}\n", i % 3, i % 5, static_cast<double>(i) * 0.5, -i,
                        i % 17, i % 4 == 0 ? "" : fmt::format("{}|{}", i, i + 1));
  }
  DataOptions options;
  options.header = true;
  options.train = {write_text("a.csv", text), write_text("b.csv", text)};
  options.columns = {
      make_column("click", -1, ColumnRole::label), make_column("w", -1, ColumnRole::weight),
      make_column("x", -1, ColumnRole::dense),     make_column("c", -1, ColumnRole::id),
      make_column("y", -1, ColumnRole::dense),     make_column("d", -1, ColumnRole::ids)};
  options.columns[4].transform = DenseTransform::log;
  options.columns[5].list_separator = "|";
  options.block_bytes = 999;
  options.window = 29;
  return options;
}

PackedCounts convert(const DataOptions& options, const std::string& path) {
  PackedCounts counts;
  run_ranks(1, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    counts = write_packed(options, Split::train, path, communicator, stream);
  });
  return counts;
}

DataOptions packed_of(const DataOptions& text) {
  DataOptions packed = text;
  packed.format = DataFormat::packed;
  packed.train = {write_text("packed.h5", "")};
  std::filesystem::remove(packed.train[0]);
  convert(text, packed.train[0]);
  return packed;
}

ReadPlan plan_of(bool shuffle) {
  ReadPlan plan;
  plan.batch_size = 64;
  plan.slices = 16;
  plan.seed = 3;
  plan.shuffle = shuffle;
  return plan;
}

TEST(Packed, HasTheBatchesOfTheTextBitForBit) {
  const DataOptions text = weighted_text();
  const DataOptions packed = packed_of(text);
  for (const bool shuffle : {true, false}) {
    const auto expected =
        read_steps(text, Split::train, plan_of(shuffle), 2, {.steps = 70, .from = {}});
    for (const int ranks : {1, 3}) {
      EXPECT_EQ(
          read_steps(packed, Split::train, plan_of(shuffle), ranks, {.steps = 70, .from = {}}),
          expected);
    }
  }
}

TEST(Packed, GoesOnInTheMiddleOfAnEpoch) {
  const DataOptions packed = packed_of(weighted_text());
  const auto whole = read_steps(packed, Split::train, plan_of(true), 2, {.steps = 50, .from = {}});
  ReaderPosition position;
  read_steps(packed, Split::train, plan_of(true), 2, {.steps = 11, .from = {}}, &position);
  const auto rest = read_steps(packed, Split::train, plan_of(true), 5,
                               {.steps = 39, .from = position, .seek = true});
  EXPECT_EQ(rest, std::vector<StepSamples>(whole.begin() + 11, whole.end()));
}

TEST(Packed, NamesItsColumnsAndCountsWhatItHolds) {
  const DataOptions text = weighted_text();
  const std::string path = write_text("new.h5", "");
  std::filesystem::remove(path);
  const PackedCounts counts = convert(text, path);
  EXPECT_EQ(counts.samples, 2 * kRecords);
  // Every record has an id of c; 752 of 1003 have two of d.
  EXPECT_EQ(counts.ids, 2 * (kRecords + 2 * 752));
  const DataSchema schema = read_schema(Hdf5File::open(path));
  EXPECT_EQ(schema.dense, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(schema.features, (std::vector<std::string>{"c", "d"}));
  EXPECT_TRUE(schema.weighted);
  EXPECT_ANY_THROW(convert(text, path)) << "a file is never overwritten";
}

TEST(Packed, RefusesOtherColumnsAndOtherFiles) {
  DataOptions packed = packed_of(weighted_text());
  packed.columns[5].name = "e";
  EXPECT_NE(complaint(packed).find("expected the features c e: found c d"), std::string::npos)
      << complaint(packed);
  packed.columns.clear();
  EXPECT_EQ(complaint(packed), "");
  packed.train = {write_text("text.h5", "no HDF5 file")};
  EXPECT_NE(complaint(packed).find("text.h5"), std::string::npos);
}

TEST(Packed, RefusesACutFile) {
  DataOptions packed = packed_of(weighted_text());
  const auto size = std::filesystem::file_size(packed.train[0]);
  std::filesystem::resize_file(packed.train[0], size / 2);
  EXPECT_NE(complaint(packed).find("packed.h5"), std::string::npos) << complaint(packed);
}

TEST(Packed, LeavesOutBadLines) {
  DataOptions text = weighted_text();
  text.train = {write_text("bad.csv", "click,w,x,y,c,d\n1,1,1,1,a,\nno,1,1,1,b,\n0,1,1,1,c,\n")};
  text.max_bad_lines = 9;
  const std::string path = write_text("new.h5", "");
  std::filesystem::remove(path);
  EXPECT_EQ(convert(text, path).samples, 2);
}

}  // namespace
}  // namespace keyshard::testing
