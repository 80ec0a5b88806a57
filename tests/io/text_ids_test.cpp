// Lists of ids with weights, masks and padding: what stands in a bag, and every kind of bad cell.
#include "io/text_ids.hpp"

#include <gtest/gtest.h>

#include "io/text_record.hpp"
#include "runtime/digest.hpp"
#include "tests/io/read_data.hpp"

namespace keyshard::testing {
namespace {

using Keys = std::vector<Key>;
using Floats = std::vector<float>;
using Offsets = std::vector<std::int64_t>;

/// label, plain id, list of integers, its weights between "|", its mask.
DataOptions list_options() {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label), make_column("user", 1, ColumnRole::id),
                     make_column("items", 2, ColumnRole::ids),
                     make_column("w", 3, ColumnRole::id_weights),
                     make_column("m", 4, ColumnRole::mask)};
  options.columns[1].integer = options.columns[2].integer = true;
  options.columns[2].list_separator = options.columns[4].list_separator = " ";
  options.columns[3].list_separator = "|";
  options.columns[2].id_weights = "w";
  options.columns[2].mask = "m";
  return options;
}

Batch parsed(const DataOptions& options, const std::vector<std::string>& lines) {
  RecordParser parser(options, "", "here:1");
  Batch batch;
  for (const std::string& line : lines) {
    EXPECT_EQ(parser.parse(line, batch).value_or(""), "") << line;
  }
  return batch;
}

std::string problem_of(const DataOptions& options, const std::string& line) {
  RecordParser parser(options, "", "here:1");
  Batch batch = parsed(options, {"1,7,1 2,1|2,1 1"});
  const Batch before = batch;
  const std::string problem = parser.parse(line, batch).value_or("");
  EXPECT_EQ(batch.ids, before.ids) << line;
  EXPECT_EQ(batch.id_weights, before.id_weights) << line;
  EXPECT_EQ(batch.id_offsets, before.id_offsets) << line;
  return problem;
}

TEST(TextIds, HaveTheWeightsAndTheMaskBesideThem) {
  const Batch batch =
      parsed(list_options(), {"1,7,5 6 5,0.5|-2|3,1 1 1", "0,8,,,", "1,9,5 6 9,1|2|3,0 1 0"});
  EXPECT_EQ(batch.ids, (Keys{7, 5, 6, 5, 8, 9, 6}));
  EXPECT_EQ(batch.id_weights, (Floats{1, 0.5f, -2, 3, 1, 1, 2}));
  EXPECT_EQ(batch.id_offsets, (Offsets{0, 1, 4, 5, 5, 6, 7}));
}

TEST(TextIds, HaveNoWeightsWhereNoColumnDoes) {
  DataOptions options = list_options();
  options.columns[2].id_weights.clear();
  const Batch batch = parsed(options, {"1,7,5 6 5,1|1,1 0 1"});
  EXPECT_EQ(batch.ids, (Keys{7, 5, 5}));
  EXPECT_EQ(batch.id_weights, Floats{});
}

TEST(TextIds, ThatArePaddingAreInNoBag) {
  DataOptions options = list_options();
  options.columns[2].padding = "0";
  options.columns[1].padding = "-1";
  const Batch batch =
      parsed(options, {"1,18446744073709551615,0 6 0 0,1|2|3|4,1 1 1 0", "1,0,0,1,1"});
  EXPECT_EQ(batch.ids, (Keys{6, 0}));
  EXPECT_EQ(batch.id_weights, (Floats{2, 1}));
  EXPECT_EQ(batch.id_offsets, (Offsets{0, 0, 1, 2, 2}));
}

TEST(TextIds, OfAColumnOfStringsHaveATextAsPadding) {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label), make_column("c", 1, ColumnRole::ids)};
  options.columns[1].list_separator = " ";
  options.columns[1].padding = "<pad>";
  options.columns[1].key_space = "words";
  const Batch batch = parsed(options, {"1,a <pad> <pads>"});
  const std::uint64_t seed = hash_bytes("words");
  EXPECT_EQ(batch.ids, (Keys{hash_bytes("a", seed), hash_bytes("<pads>", seed)}));
}

TEST(TextIds, OfAColumnWithFarmhash64HaveTheKeysOfTensorFlow) {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label), make_column("c", 1, ColumnRole::ids)};
  options.columns[1].list_separator = " ";
  options.columns[1].padding = "<pad>";
  options.columns[1].key_space = "words";
  options.columns[1].hash = TextHash::farmhash64;
  const Batch batch = parsed(options, {"1,a <pad> abc"});
  // tf.strings.to_hash_bucket_fast(["a", "abc"], 2^63 - 1) agrees with these fingerprints.
  EXPECT_EQ(batch.ids, (Keys{12917804110809363939u, 2640714258260161385u}));
}

TEST(TextIds, ThatAreMissingHaveNoWeightOrOne) {
  DataOptions options = list_options();
  options.columns[2].missing_is_id = true;
  const Key missing = missing_key(options.columns[2].key_space);
  const Batch batch = parsed(options, {"1,7,,,", "1,7,,0.5,1", "1,7,5  6,1|2|3,1 1 1", "1,7,,2,0"});
  EXPECT_EQ(batch.ids, (Keys{7, missing, 7, missing, 7, 5, missing, 6, 7}));
  EXPECT_EQ(batch.id_weights, (Floats{1, 1, 1, 0.5f, 1, 1, 2, 3, 1}));
  options.columns[2].missing_is_id = false;
  EXPECT_EQ(parsed(options, {"1,7,5  6,1|2|3,1 1 1"}).id_weights, (Floats{1, 1, 3}));
}

TEST(TextIds, AreMissingByTheTextsOfTheirColumn) {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label), make_column("c", 1, ColumnRole::id),
                     make_column("e", 2, ColumnRole::id), make_column("x", 3, ColumnRole::dense)};
  options.missing = {"?"};
  options.columns[1].integer = options.columns[2].integer = true;
  options.columns[2].missing = {{"-1", "0"}};
  options.columns[3].missing = {{"n/a"}};
  options.columns[3].fill = 9;
  const Batch batch = parsed(options, {"1,?,-1,n/a", "1,-1,0,4", "1,0,3,-1"});
  EXPECT_EQ(batch.ids, (Keys{~Key{0}, 0, 3}));
  EXPECT_EQ(batch.id_offsets, (Offsets{0, 0, 0, 1, 1, 2, 3}));
  EXPECT_EQ(batch.dense, (Floats{9, 4, -1}));
}

TEST(TextIds, BeyondTheMaximumAreDroppedWithTheirWeights) {
  DataOptions options = list_options();
  options.columns[2].max_length = 2;
  const Batch batch = parsed(options, {"1,7,4 5 6,1|2|x,0 1 1"});
  EXPECT_EQ(batch.ids, (Keys{7, 5}));
  EXPECT_EQ(batch.id_weights, (Floats{1, 2}));
}

TEST(TextIds, ThatDoNotFitTheCellsBesideThemMakeABadLine) {
  const DataOptions options = list_options();
  EXPECT_EQ(problem_of(options, "1,7,5 6,1|2|3,1 1"),
            "column \"w\": expected an item for each of the 2 ids of column \"items\": found 3");
  EXPECT_EQ(problem_of(options, "1,7,5 6,1|2,1"),
            "column \"m\": expected an item for each of the 2 ids of column \"items\": found 1");
  EXPECT_EQ(problem_of(options, "1,7,,1|2,"),
            "column \"w\": expected an item for each of the 1 ids of column \"items\": found 2");
  EXPECT_EQ(problem_of(options, "1,7,5 6,1|1e39,1 1"),
            "column \"w\": expected a weight that is finite as float32: found \"1e39\"");
  EXPECT_EQ(problem_of(options, "1,7,5 6,1|,1 1"),
            "column \"w\": expected a weight that is finite as float32: found \"\"");
  EXPECT_EQ(problem_of(options, "1,7,5 6,1|2,1 yes"),
            "column \"m\": expected 1 for an id that counts and 0 for one that does not: found "
            "\"yes\"");
  EXPECT_EQ(problem_of(options, "1,7,5 x,1|2,1 1"),
            "column \"items\": expected an integer of 64 bits: found \"x\"");
}

}  // namespace
}  // namespace keyshard::testing
