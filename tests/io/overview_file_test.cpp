// The bytes that a checkpoint has beside the rows of its tables: few for each table, whatever the
// number of shards, and as many of each dataset as the limit of a manifest takes for granted.
#include "io/overview_file.hpp"

#include <filesystem>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr std::int64_t kShardsOfTest = 1024;

/// Columns as a table of an FM with Adam has them, of 60 bytes a row.
std::vector<ColumnShape> usual_columns() {
  return {{"values/factor", ElementType::f32, 4},  {"values/linear", ElementType::f32, 1},
          {"state/factor/m", ElementType::f32, 4}, {"state/factor/v", ElementType::f32, 4},
          {"state/linear/m", ElementType::f32, 1}, {"state/linear/v", ElementType::f32, 1}};
}

/// So many columns of a byte a row.
std::vector<ColumnShape> narrow_columns(std::int64_t count) {
  std::vector<ColumnShape> columns;
  for (std::int64_t c = 0; c < count; ++c) {
    columns.push_back({fmt::format("{}", c), ElementType::i8, 1});
  }
  return columns;
}

struct FileBytes {
  std::int64_t rank, overview, manifest;
};

/// Saves tables of `rows` rows, each of a shard of its own, on one rank.
FileBytes saved(std::int64_t tables, std::int64_t rows, const std::vector<ColumnShape>& columns) {
  const TestFolder folder;
  LocalFileSystem files;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointContent content;
    content.shards = kShardsOfTest;
    content.config = content.state = value_of(SettingValue::Table{});
    for (std::int64_t t = 0; t < tables; ++t) {
      TableSource source{
          {fmt::format("{:04}", t), columns, value_of(SettingValue::Table{})}, {}, {}};
      source.rows.assign(kShardsOfTest, 0);
      std::fill_n(source.rows.begin() + t % 1000, rows, 1);
      source.copy = [](std::int64_t shard, Span<Key> keys, const std::vector<std::byte*>&) {
        std::fill(keys.begin(), keys.end(), static_cast<Key>(shard));
      };
      content.tables.push_back(std::move(source));
    }
    CheckpointWriter(files, folder.path(), communicator, stream).save(content, {});
  });
  const auto bytes = [&](const char* name) {
    return static_cast<std::int64_t>(
        std::filesystem::file_size(folder / (std::string("step-000000/") + name)));
  };
  return {bytes("rank-0000-of-0001.h5"), bytes("checkpoint.h5"), bytes("manifest.json")};
}

/// The bytes of 100 tables more, for each of them.
FileBytes bytes_of_table(std::int64_t rows) {
  const FileBytes few = saved(20, rows, usual_columns()), many = saved(120, rows, usual_columns());
  return {(many.rank - few.rank) / 100, (many.overview - few.overview) / 100,
          (many.manifest - few.manifest) / 100};
}

TEST(Overview, AndFilesOfRanksTakeAFewKilobytesOfATableOfFiveRows) {
  const FileBytes table = bytes_of_table(5);
  EXPECT_LT(table.rank, 5 * 68 + 2200);
  EXPECT_LT(table.overview, 1300);
  EXPECT_LT(table.manifest, 7 * 5 * 32 + 700);
}

TEST(Overview, AndFilesOfRanksTakeNoMoreOfATableWithoutRows) {
  const FileBytes table = bytes_of_table(0);
  EXPECT_LT(table.rank, 2200);
  EXPECT_LT(table.overview, 1300);
  EXPECT_LT(table.manifest, 700);
}

/// Whoever makes a manifest of over 900 bytes a byte of the overview has none of these tables.
TEST(Overview, HasOver45BytesOfEachDataset) {
  const FileBytes few = saved(1, 1, narrow_columns(200)), many = saved(1, 1, narrow_columns(1200));
  EXPECT_GT(2 * (many.overview - few.overview), 91 * 1000);
}

}  // namespace
}  // namespace keyshard::testing
