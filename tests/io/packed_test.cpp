// Packed files: the same batches as the text they were made of.
#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "io/packed_schema.hpp"
#include "io/packed_writer.hpp"
#include "runtime/digest.hpp"
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

/// Lists with weights, a mask and padding.
DataOptions lists_text() {
  std::string text = "click,d,w,m\n";
  for (std::int64_t i = 0; i < kRecords; ++i) {
    text += i % 4 == 0 ? fmt::format("{},,,\n", i % 2)
                       : fmt::format("{},{} {} 0,{} -2 3,{} 1 1\n", i % 2, i % 17, i,
                                     static_cast<double>(i) * 0.25, i % 3 == 0 ? 0 : 1);
  }
  DataOptions options;
  options.header = true;
  options.train = {write_text("lists.csv", text)};
  options.columns = {
      make_column("click", -1, ColumnRole::label), make_column("d", -1, ColumnRole::ids),
      make_column("w", -1, ColumnRole::id_weights), make_column("m", -1, ColumnRole::mask)};
  for (std::size_t c = 1; c < 4; ++c) {
    options.columns[c].list_separator = std::string(1, ' ');
  }
  options.columns[1].integer = true;
  options.columns[1].id_weights = "w";
  options.columns[1].mask = "m";
  options.columns[1].padding = "0";
  options.block_bytes = 999;
  options.window = 29;
  return options;
}

TEST(Packed, HasWeightsOfIdsAndLeavesOutWhatIsMaskedOrPadding) {
  const DataOptions text = lists_text();
  const auto expected = read_steps(text, Split::train, plan_of(true), 2, {.steps = 40, .from = {}});
  EXPECT_EQ(read_steps(packed_of(text), Split::train, plan_of(true), 3, {.steps = 40, .from = {}}),
            expected);
}

TEST(Packed, LeavesOutPaddingThatItHolds) {
  DataOptions text = lists_text();
  text.columns[1].padding.reset();
  DataOptions packed = packed_of(text);
  text.columns[1].padding = packed.columns[1].padding = "0";
  EXPECT_EQ(read_steps(packed, Split::train, plan_of(true), 3, {.steps = 40, .from = {}}),
            read_steps(text, Split::train, plan_of(true), 2, {.steps = 40, .from = {}}));
}

TEST(Packed, RefusesWeightsAndMasksThatAreNotThoseOfTheConversion) {
  const DataOptions packed = packed_of(lists_text());
  DataOptions other = packed;
  other.columns[1].id_weights.clear();
  EXPECT_NE(complaint(other).find("expected weights of the ids of the features []: found those of "
                                  "[d]"),
            std::string::npos)
      << complaint(other);
  other = packed;
  other.columns[1].mask.clear();
  EXPECT_NE(complaint(other).find("expected a mask on the ids of the features []: found one on "
                                  "those of [d]; a mask is applied when text is converted"),
            std::string::npos)
      << complaint(other);
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
  const DataSchema schema = read_content(Hdf5File::open(path)).schema;
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

/// The bytes of a file.
std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Text of 3,000 samples in two blocks: so a block has pieces of 1,024, 1,024 and the rest.
DataOptions long_text() {
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    text += fmt::format("{},{},{:.1f}\n", i % 2, i % 50, i * 0.5);
  }
  DataOptions options;
  options.train = {write_text("long.csv", text)};
  options.columns = {make_column("click", 0, ColumnRole::label),
                     make_column("c", 1, ColumnRole::id), make_column("x", 2, ColumnRole::dense)};
  options.block_bytes = std::ssize(text) / 2 + 1;
  options.window = 700;
  return options;
}

TEST(Packed, OfBlocksLongerThanAPieceHasTheBatchesOfTheText) {
  const DataOptions text = long_text();
  const DataOptions packed = packed_of(text);
  const auto expected = read_steps(text, Split::train, plan_of(true), 2, {.steps = 90, .from = {}});
  EXPECT_EQ(read_steps(packed, Split::train, plan_of(true), 3, {.steps = 90, .from = {}}),
            expected);
}

TEST(Packed, HasADigestOfEachPieceThatIsByTheFormat) {
  const DataOptions packed = packed_of(long_text());
  const Hdf5File file = Hdf5File::open(packed.train[0]);
  const Hdf5Dataset blocks = file.open_dataset("blocks"), digests = file.open_dataset("digests");
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(blocks.rows()));
  blocks.read(0, blocks.rows(), sizes.data());
  ASSERT_EQ(sizes.size(), 2u);
  ASSERT_EQ(digests.shape(), (std::vector<std::int64_t>{4, 2}));  // 1,024 and the rest, twice
  std::vector<std::uint64_t> found(8);
  digests.read(0, 4, found.data());

  // The last piece: its columns from the file, and their digests by the words of FORMATS.md.
  const std::int64_t count = sizes[1] - 1024, first = 3000 - count;
  std::vector<float> labels(static_cast<std::size_t>(count)), dense(labels.size());
  std::vector<std::int64_t> offsets(labels.size() + 1);
  std::vector<Key> ids(labels.size());
  file.open_dataset("labels").read(first, count, labels.data());
  file.open_dataset("dense").read(first, count, dense.data());
  file.open_dataset("id_offsets").read(first, count + 1, offsets.data());
  file.open_dataset("ids").read(first, count, ids.data());
  const auto digest = [](const auto& values) {
    return digest_of(values.data(), values.size() * sizeof(values[0]));
  };
  Digest piece;
  piece.add(digest(labels)).add(digest_of(nullptr, 0)).add(digest(dense));
  piece.add(digest(offsets)).add(digest(ids));
  EXPECT_EQ(piece.result(), (Digest128{found[6], found[7]}));
}

TEST(Packed, WithAnyByteChangedHasTheSameBatchesOrIsRefused) {
  DataOptions packed = packed_of(long_text());
  const std::string whole = bytes_of(packed.train[0]);
  const std::vector<Sample> expected = read_in_order(packed);
  std::mt19937 random(9);
  int refused = 0;
  for (int i = 0; i < 150; ++i) {
    std::string changed = whole;
    const std::size_t at = random() % changed.size();
    changed[at] = static_cast<char>(changed[at] ^ (1 + random() % 255));
    packed.train = {write_text(fmt::format("changed-{}.h5", i), changed)};
    try {
      ASSERT_EQ(read_in_order(packed), expected) << "byte " << at;
    } catch (const Error& error) {
      ++refused;
      EXPECT_NE(error.text().find(fmt::format("changed-{}.h5", i)), std::string::npos)
          << error.text();
    }
    std::filesystem::remove(packed.train[0]);
  }
  EXPECT_GT(refused, 100);
}

TEST(Packed, CannotPassForAFileWithoutDigests) {
  const DataOptions packed = packed_of(long_text());
  const std::string path = write_text("old.h5", "");
  std::filesystem::remove(path);
  Hdf5File file = Hdf5File::create(path);
  file.set_text("/", "format", kPackedFormat);
  file.set_integer("/", "version", kUncheckedVersion);
  file.set_text("/", "schema", "{}");
  const std::uint64_t digests[] = {1, 2};
  file.write("digests", ElementType::u64, {1, 2}, digests);
  try {
    read_content(file);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(error.text().find("expected no digests in a file of version 1"), std::string::npos);
  }
}

TEST(Packed, ReadsMoreFilesThanAProcessMayOpen) {
  DataOptions packed = packed_of(long_text());
  const std::string one = packed.train[0];
  packed.train.clear();
  for (int i = 0; i < 150; ++i) {
    packed.train.push_back(fmt::format("{}.{}", one, i));
    std::filesystem::create_hard_link(one, packed.train.back());
  }
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {100, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const std::size_t samples = read_in_order(packed).size();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(samples, 450'000u);
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
