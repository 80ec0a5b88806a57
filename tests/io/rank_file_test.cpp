// The file of one rank: its layout by FORMATS.md, any run of its shards read back and checked, and
// the message about a shard that does not have its digest.
#include "io/rank_file.hpp"

#include <cstring>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

constexpr std::int64_t kWidth = 3;

/// Rows of shard s: s % 4. Keys 100 s + 7 i; values 100 s + 10 i + d.
std::int64_t rows_of(std::int64_t shard) { return shard % 4; }

Key key_of(std::int64_t shard, std::int64_t i) { return static_cast<Key>(100 * shard + 7 * i); }

float value_of(std::int64_t shard, std::int64_t i, std::int64_t d) {
  return static_cast<float>(100 * shard + 10 * i + d);
}

TableSource source_of(Range shards) {
  TableSource source;
  source.shape = {"user/id", {{"values/v", ElementType::f32, kWidth}}, {}};
  for (std::int64_t shard = shards.begin; shard < shards.end; ++shard) {
    source.rows.push_back(rows_of(shard));
  }
  source.copy = [](std::int64_t shard, Span<Key> keys, const std::vector<std::byte*>& columns) {
    ASSERT_EQ(static_cast<std::int64_t>(keys.size()), rows_of(shard));
    for (std::int64_t i = 0; i < rows_of(shard); ++i) {
      keys[static_cast<std::size_t>(i)] = key_of(shard, i);
      for (std::int64_t d = 0; d < kWidth; ++d) {
        const float value = value_of(shard, i, d);
        std::memcpy(columns.at(0) + (i * kWidth + d) * 4, &value, 4);
      }
    }
  };
  return source;
}

/// The keys and the digests of a shard, from their definition.
std::pair<Digest128, Digest128> digests_of(std::int64_t shard) {
  std::vector<Key> keys;
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows_of(shard); ++i) {
    keys.push_back(key_of(shard, i));
    for (std::int64_t d = 0; d < kWidth; ++d) {
      values.push_back(value_of(shard, i, d));
    }
  }
  return {digest_of(keys.data(), keys.size() * 8), digest_of(values.data(), values.size() * 4)};
}

/// The manifest of a table with all shards of a job; a file has a run of these shards.
ManifestTable manifest_of(std::int64_t shards) {
  ManifestTable table;
  table.shape = source_of({0, 0}).shape;
  table.shards = shards;
  for (std::int64_t shard = 0; shard < shards; ++shard) {
    if (rows_of(shard) > 0) {
      table.filled.push_back(shard);
      table.rows.push_back(rows_of(shard));
      const auto [keys, values] = digests_of(shard);
      table.digests.push_back(keys);
      table.digests.push_back(values);
    }
  }
  return table;
}

class RankFileTest : public ::testing::Test {
 protected:
  RankFileWork work() { return {files_, stream_, progress_, times_}; }

  ManifestTable write(Range shards) {
    Hdf5File file = Hdf5File::create(path_);
    ManifestTable table = write_table(work(), file, source_of(shards), shards);
    file.close();
    return table;
  }

  ScratchFolder folder_;
  std::string path_ = folder_.path("rank.h5");
  LocalFileSystem files_;
  Stream<Cpu> stream_{2};
  Progress progress_;
  CheckpointTimes times_;
};

/// A dataset of so many integers.
std::vector<std::int64_t> integers(const Hdf5File& file, const std::string& name,
                                   std::int64_t count) {
  const Hdf5Dataset dataset = file.open_dataset(name);
  dataset.expect(ElementType::i64, {count});
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  dataset.read(0, count, values.data());
  return values;
}

TEST_F(RankFileTest, HasTheLayoutOfItsFormat) {
  write({5, 9});
  const Hdf5File file = Hdf5File::open(path_);
  // Shards 5 to 8 have 1, 2, 3 and 0 rows; the name is escaped.
  const std::string group = "/tables/user%2Fid";
  EXPECT_EQ(file.text(group, "name"), "user/id");
  EXPECT_EQ(integers(file, group + "/shards", 3), (std::vector<std::int64_t>{5, 6, 7}));
  EXPECT_EQ(integers(file, group + "/shard_begin", 4), (std::vector<std::int64_t>{0, 1, 3, 6}));
  const Hdf5Dataset keys = file.open_dataset(group + "/keys");
  keys.expect(ElementType::u64, {6});
  std::vector<Key> key(6);
  keys.read(0, 6, key.data());
  EXPECT_EQ(key, (std::vector<Key>{500, 600, 607, 700, 707, 714}));
  const Hdf5Dataset values = file.open_dataset(group + "/values/v");
  values.expect(ElementType::f32, {6, kWidth});
  std::vector<float> last(3);
  values.read(5, 1, last.data());
  EXPECT_EQ(last, (std::vector<float>{720, 721, 722}));
}

TEST_F(RankFileTest, ReturnsTheDigestsOfEveryColumnOfEveryShard) {
  const ManifestTable found = write({3, 8});
  // Shards 3 to 7 have 3, 0, 1, 2 and 3 rows; they are counted from 0.
  EXPECT_EQ(found.shards, 5);
  EXPECT_EQ(found.filled, (std::vector<std::int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(found.rows, (std::vector<std::int64_t>{3, 1, 2, 3}));
  ASSERT_EQ(found.digests.size(), 8u);
  for (const std::int64_t shard : found.filled) {
    const auto [keys, values] = digests_of(3 + shard);
    EXPECT_EQ(found.digests_of(shard)[0], keys) << shard;
    EXPECT_EQ(found.digests_of(shard)[1], values) << shard;
  }
}

TEST_F(RankFileTest, KnowsWhereTheBytesOfItsDatasetsLie) {
  const Range held{3, 8};
  const ManifestTable written = write(held);
  std::vector<Key> keys;
  for (std::int64_t shard = held.begin; shard < held.end; ++shard) {
    for (std::int64_t i = 0; i < rows_of(shard); ++i) {
      keys.push_back(key_of(shard, i));
    }
  }
  std::vector<Key> found(keys.size());
  ASSERT_EQ(written.offsets.size(), 2u);
  std::memcpy(found.data(), folder_.read("rank.h5").data() + written.offsets[0], keys.size() * 8);
  EXPECT_EQ(found, keys);
  EXPECT_EQ(find_offsets(path_, manifest_of(20), held), written.offsets);
}

TEST_F(RankFileTest, AnyRunOfItsShardsIsReadOnceAndAsItWasWritten) {
  const Range held{4, 14};
  const std::vector<std::int64_t> offsets = write(held).offsets;
  const RankFile file = open_rank_file(files_, path_);
  for (std::int64_t begin = held.begin; begin <= held.end; ++begin) {
    for (std::int64_t end = begin; end <= held.end; ++end) {
      std::mutex mutex;
      std::vector<int> taken(20);
      read_table(work(), file, manifest_of(20), {held, {begin, end}, offsets},
                 [&](std::int64_t shard, Span<const Key> keys,
                     const std::vector<const std::byte*>& columns) {
                   const std::lock_guard lock(mutex);
                   ++taken.at(static_cast<std::size_t>(shard));
                   ASSERT_EQ(static_cast<std::int64_t>(keys.size()), rows_of(shard));
                   for (std::int64_t i = 0; i < rows_of(shard); ++i) {
                     float value = 0;
                     std::memcpy(&value, columns.at(0) + (i * kWidth + 1) * 4, 4);
                     EXPECT_EQ(keys[static_cast<std::size_t>(i)], key_of(shard, i));
                     EXPECT_EQ(value, value_of(shard, i, 1));
                   }
                 });
      for (std::int64_t shard = 0; shard < 20; ++shard) {
        const bool read = begin <= shard && shard < end && rows_of(shard) > 0;
        ASSERT_EQ(taken[static_cast<std::size_t>(shard)], read ? 1 : 0);
      }
    }
  }
}

/// The error of reading all shards of a file by a manifest that was changed; empty: none.
std::string complaint(RankFileWork work, const std::string& path, const ManifestTable& table,
                      Range held) {
  try {
    const std::vector<std::int64_t> offsets = find_offsets(path, table, held);
    read_table(work, open_rank_file(work.files, path), table, {held, held, offsets},
               [](std::int64_t, Span<const Key>, const std::vector<const std::byte*>&) {});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data) << error.text();
    return error.text();
  }
  return "";
}

TEST_F(RankFileTest, AColumnThatIsNotItsDigestIsRefusedByFileTableShardAndColumn) {
  write({0, 8});
  ManifestTable keys = manifest_of(8);
  keys.digests[2 * 3].low ^= 1;  // shards 0 and 4 have no rows
  EXPECT_EQ(
      folder_.without_path(complaint(work(), path_, keys, {0, 8})),
      fmt::format("rank.h5: table user/id, shard 5, column keys: expected digest {}: found {}",
                  keys.digests[6].hex(), digests_of(5).first.hex()));
  ManifestTable values = manifest_of(8);
  values.digests[2 * 5 + 1].high ^= 1;
  EXPECT_NE(complaint(work(), path_, values, {0, 8}).find("shard 7, column values/v"),
            std::string::npos);
}

TEST_F(RankFileTest, AnotherNumberOfRowsThanTheManifestSaysIsRefused) {
  write({0, 8});
  ManifestTable table = manifest_of(8);
  ++table.rows[2];
  EXPECT_NE(complaint(work(), path_, table, {0, 8}).find("expected u64 of shape [13]"),
            std::string::npos);
}

TEST_F(RankFileTest, AFileThatEndsBeforeADatasetIsRefusedByItsName) {
  const Range held{0, 8};
  std::vector<std::int64_t> offsets = write(held).offsets;
  offsets[1] = 1 << 20;
  try {
    read_table(work(), open_rank_file(files_, path_), manifest_of(8), {held, held, offsets},
               [](std::int64_t, Span<const Key>, const std::vector<const std::byte*>&) {});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_EQ(folder_.without_path(error.text()),
              "rank.h5:/tables/user%2Fid/values/v: expected 144 bytes at offset 1048576: found 0");
  }
}

TEST_F(RankFileTest, KeysThatAreNotAscendingAreRefusedByTheirShard) {
  for (const Key second : {Key{7}, Key{6}}) {  // equal, and falling
    Hdf5File file = Hdf5File::create(folder_.path(fmt::format("keys-{}.h5", second)));
    TableSource source = source_of({2, 3});
    source.copy = [&](std::int64_t, Span<Key> keys, const std::vector<std::byte*>&) {
      keys[0] = 7;
      keys[1] = second;
    };
    try {
      write_table(work(), file, source, {2, 3});
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::invalid_argument);
      EXPECT_EQ(error.text(),
                "table user/id: expected the keys of shard 2 in ascending order: found others");
    }
  }
}

TEST_F(RankFileTest, AFileWithAKeyTwiceIsRefusedByItsShard) {
  const Range held{0, 8};
  const std::vector<std::int64_t> offsets = write(held).offsets;
  ManifestTable table = manifest_of(8);
  std::vector<Key> keys{600, 607};  // of shard 6, behind 1 + 2 + 3 + 1 keys
  for (const Key second : {Key{600}, Key{599}}) {
    keys[1] = second;
    std::string bytes = folder_.read("rank.h5");
    std::memcpy(bytes.data() + offsets[0] + 7 * 8, keys.data(), 16);
    folder_.write("rank.h5", bytes);
    table.digests[2 * 4] = digest_of(keys.data(), 16);  // shards 0 and 4 have no rows
    EXPECT_EQ(folder_.without_path(complaint(work(), path_, table, held)),
              fmt::format("rank.h5: table user/id, shard 6: expected ascending keys, each once: "
                          "found 600 and after it {}",
                          second));
  }
}

TEST_F(RankFileTest, RowsOfOtherShardsThanItsOwnAreRefused) {
  Hdf5File file = Hdf5File::create(path_);
  try {
    write_table(work(), file, source_of({2, 4}), {2, 5});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    EXPECT_EQ(error.text(), "table user/id: expected the rows of 3 shards: found 2");
  }
}

TEST_F(RankFileTest, ATableWithoutRowsIsWrittenAndRead) {
  write({4, 5});
  EXPECT_EQ(complaint(work(), path_, manifest_of(5), {4, 5}), "");
}

TEST_F(RankFileTest, CountsTheTimeOfItsPartsAndGivesSignsOfLife) {
  write({0, 8});
  EXPECT_GT(times_.copy, 0);
  EXPECT_GT(times_.digest, 0);
  EXPECT_GT(times_.write, 0);
  EXPECT_EQ(times_.read, 0);
  EXPECT_GE(progress_.counter(), 8u);
}

TEST_F(RankFileTest, ADensePartIsReadAndCheckedAgainstItsDigest) {
  const std::vector<float> weights{1, 2, 3, 4, 5, 6};
  Hdf5File file = Hdf5File::create(path_);
  const std::int64_t offset = file.write("/dense/mlp/w0", ElementType::f32, {2, 3}, weights.data());
  file.close();
  ManifestDense dense{"mlp/w0", ElementType::f32, {2, 3}, offset, digest_of(weights.data(), 24)};
  const std::vector<std::byte> bytes = read_dense(open_rank_file(files_, path_), dense, offset);
  EXPECT_EQ(std::memcmp(bytes.data(), weights.data(), 24), 0);

  const auto expect_refused = [&](const auto& body, const std::string& part) {
    try {
      body();
      ADD_FAILURE() << "expected an error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::corrupt_data);
      EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
    }
  };
  EXPECT_EQ(find_offset(path_, dense), offset);
  const auto find = [&] { find_offset(path_, dense); };
  const auto read = [&] { read_dense(open_rank_file(files_, path_), dense, offset); };
  dense.digest.low ^= 1;
  expect_refused(read, "dense part mlp/w0: expected digest");
  dense.shape = {3, 2};
  expect_refused(find, "expected f32 of shape [3, 2]: found f32 of shape [2, 3]");
  dense.name = "mlp/w1";
  expect_refused(find, "mlp/w1");
}

TEST(TableDataset, EscapesTheNameOfTheTableAlone) {
  EXPECT_EQ(table_dataset("C1", "values/v"), "/tables/C1/values/v");
  EXPECT_EQ(table_dataset("a/b%", "keys"), "/tables/a%2Fb%25/keys");
  EXPECT_EQ(table_dataset(".x", "keys"), "/tables/%2Ex/keys");
}

}  // namespace
}  // namespace keyshard
