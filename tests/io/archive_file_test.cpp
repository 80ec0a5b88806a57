// Compressed files: unpacked to the bytes that were packed, and refused where they are damaged.
#include "io/archive_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"

namespace keyshard::testing {
namespace {

std::string lines(std::int64_t count) {
  std::string text;
  for (std::int64_t i = 0; i < count; ++i) {
    text += fmt::format("{},{}\n", i % 2, i * i * 977 % 100'003);
  }
  return text;
}

/// Packs a file by a program of the system; empty where there is none.
std::string packed(const std::string& program, const std::string& path) {
  const std::string command = fmt::format("{} -k -f -q '{}' 2>/dev/null", program, path);
  const std::string ending = program == "gzip" ? ".gz" : program == "xz" ? ".xz" : ".zst";
  return std::system(command.c_str()) == 0 ? path + ending : "";
}

DataOptions options_of(const std::string& path) {
  DataOptions options;
  options.train = {path};
  options.columns = {make_column("y", 0, ColumnRole::label), make_column("c", 1, ColumnRole::id)};
  return options;
}

class Archive : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    plain_ = write_text("text", lines(30'000));
    packed_ = packed(GetParam(), plain_);
    if (packed_.empty()) {
      GTEST_SKIP() << "no program " << GetParam();
    }
  }

  std::string plain_, packed_;
};

TEST_P(Archive, HoldsTheSameRecordsAsThePlainFile) {
  const std::vector<Sample> expected = read_in_order(options_of(plain_));
  EXPECT_EQ(expected.size(), 30'000u);
  DataOptions options = options_of(packed_);
  EXPECT_EQ(read_in_order(options), expected);
  // Files too large for data.memory_bytes are read as a stream, unless blocks are asked for.
  options.memory_bytes = 1000;
  EXPECT_EQ(read_in_order(options), expected);
  options.order = ReadOrder::blocks;
  EXPECT_NE(complaint(options).find("data.memory_bytes = 1000"), std::string::npos);
}

TEST_P(Archive, HasTheBatchesOfThePlainFileWhereItFitsTheMemory) {
  ReadPlan plan;
  plan.batch_size = 512;
  plan.slices = 16;
  DataOptions small = options_of(plain_);
  small.block_bytes = 5000;
  const auto expected = read_steps(small, Split::train, plan, 1);
  small.train = {packed_};
  EXPECT_EQ(read_steps(small, Split::train, plan, 3), expected);
}

TEST_P(Archive, IsRefusedWhereItIsCut) {
  std::filesystem::resize_file(packed_, std::filesystem::file_size(packed_) / 2);
  DataOptions options = options_of(packed_);
  EXPECT_NE(complaint(options).find(packed_), std::string::npos);
  options.order = ReadOrder::stream;
  EXPECT_NE(complaint(options).find(packed_), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Programs, Archive, ::testing::Values("gzip", "xz", "zstd"));

}  // namespace
}  // namespace keyshard::testing
