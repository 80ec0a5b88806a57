// The manifest of a checkpoint, by FORMATS.md: written and parsed, its digest, and every member
// that is missing, has a wrong type, or contradicts another.
#include "io/manifest.hpp"

#include <array>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

SettingValue value(SettingValue::Variant variant) { return {std::move(variant), ""}; }

/// Two ranks, a table of two shards and two columns, a dense part.
Manifest some_manifest() {
  Manifest manifest;
  manifest.step = 123;
  manifest.ranks = 2;
  manifest.config = value(SettingValue::Table{{"values", value(std::int64_t{1})}});
  manifest.state = value(SettingValue::Table{{"best", value(0.5)}});
  ManifestTable table;
  table.shape.name = "C1/a";
  table.shape.columns = {{"values/v", ElementType::f32, 4}, {"state/v/m", ElementType::f64, 2}};
  table.shape.options = value(SettingValue::Table{{"dim", value(std::int64_t{4})}});
  // The second shard, which is that of the second rank, has no rows.
  table.shards = 2;
  table.filled = {0};
  table.rows = {3};
  table.digests = {{0, ~0ull}, {1, ~1ull}, {2, ~2ull}};
  table.offsets = {40, 64, 112, 0, 0, 0};  // 24 bytes of keys, 48 of values, 48 of state
  manifest.tables = {table};
  manifest.dense = {{"weights/w0", ElementType::f32, {3, 5}, 200, {7, 8}}};
  manifest.files = {{"rank-0000-of-0002.h5", 300, {1, 2}, Digest128{9, 10}},
                    {"rank-0001-of-0002.h5", 200, {3, 4}},
                    {"checkpoint.h5", 300, {5, 6}}};
  return manifest;
}

/// A manifest with the right digest at its end, as FORMATS.md defines it: of all bytes before the
/// comma in front of "digest".
std::string sealed(const std::string& text) {
  const std::string body = text.substr(0, text.rfind(",\n  \"digest\""));
  return body + ",\n  \"digest\": \"" + digest_of(body.data(), body.size()).hex() + "\"\n}\n";
}

/// The text of some_manifest with its first `from` replaced, and sealed again.
std::string with(const std::string& from, const std::string& to) {
  std::string text = manifest_text(some_manifest());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  return sealed(at == std::string::npos ? text : text.replace(at, from.size(), to));
}

/// The error of parsing a text; empty: none.
std::string complaint(const std::string& text) {
  try {
    parse_manifest(text, "M");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data) << error.text();
    EXPECT_EQ(error.text().find("M"), 0u) << error.text();
    return error.text();
  }
  return "";
}

TEST(Manifest, ComesBackAsItWasWritten) {
  const Manifest written = some_manifest();
  const Manifest read = parse_manifest(manifest_text(written), "M");

  EXPECT_EQ(read.step, 123);
  EXPECT_EQ(read.ranks, 2);
  ASSERT_EQ(read.tables.size(), 1u);
  EXPECT_EQ(read.tables[0].shape.name, "C1/a");
  EXPECT_EQ(read.tables[0].shape.columns, written.tables[0].shape.columns);
  EXPECT_EQ(read.tables[0].rows, written.tables[0].rows);
  EXPECT_EQ(read.tables[0].shards, 2);
  EXPECT_EQ(read.tables[0].filled, written.tables[0].filled);
  EXPECT_EQ(read.tables[0].offsets, written.tables[0].offsets);
  EXPECT_EQ(read.tables[0].digests, written.tables[0].digests);
  ASSERT_EQ(read.dense.size(), 1u);
  EXPECT_EQ(read.dense[0].name, "weights/w0");
  EXPECT_EQ(read.dense[0].shape, (std::vector<std::int64_t>{3, 5}));
  EXPECT_EQ(read.dense[0].offset, 200);
  EXPECT_EQ(read.dense[0].digest, (Digest128{7, 8}));
  ASSERT_EQ(read.files.size(), 3u);
  EXPECT_EQ(read.files[1].name, "rank-0001-of-0002.h5");
  EXPECT_EQ(read.files[1].bytes, 200);
  EXPECT_EQ(read.files[1].digest, (Digest128{3, 4}));
  EXPECT_EQ(manifest_text(read), manifest_text(written));
}

TEST(Manifest, KeepsConfigurationAndStateAsTheyAre) {
  const Manifest read = parse_manifest(manifest_text(some_manifest()), "M");

  const auto& config = std::get<SettingValue::Table>(read.config.value);
  EXPECT_EQ(config[0].first, "values");
  EXPECT_EQ(std::get<std::int64_t>(config[0].second.value), 1);
  const auto& state = std::get<SettingValue::Table>(read.state.value);
  EXPECT_EQ(std::get<double>(state[0].second.value), 0.5);
}

TEST(Manifest, EndsWithTheDigestOfAllBytesBeforeItsComma) {
  const std::string text = manifest_text(some_manifest());

  EXPECT_EQ(text, sealed(text));
}

TEST(Manifest, NoByteMayDiffer) {
  const std::string text = manifest_text(some_manifest());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    ASSERT_NE(complaint(changed), "") << "byte " << i;
  }
}

TEST(Manifest, NoByteMayBeMissingOrAdded) {
  const std::string text = manifest_text(some_manifest());
  EXPECT_NE(complaint(""), "");
  EXPECT_NE(complaint(text + "\n"), "");
  EXPECT_NE(complaint(" " + text), "");
  for (std::size_t size = 0; size < text.size(); size += 7) {
    ASSERT_NE(complaint(text.substr(0, size)), "") << size << " bytes";
  }
}

TEST(Manifest, EveryMemberMustBeThere) {
  for (const char* name :
       {"format",  "step",    "ranks",   "state_digest", "state",  "config", "files",
        "dense",   "tables",  "columns", "options",      "shards", "filled", "rows",
        "offsets", "digests", "shape",   "offset",       "bytes",  "type",   "width"}) {
    const std::string quoted = std::string("\"") + name + "\":";
    const std::string message = complaint(with(quoted, std::string("\"no_") + name + "\":"));
    EXPECT_NE(message.find(name), std::string::npos) << name << ": " << message;
  }
}

TEST(Manifest, EveryMemberMustBeOfItsType) {
  const std::vector<std::pair<const char*, const char*>> changes{
      {"\"step\": 123", "\"step\": \"123\""},
      {"\"step\": 123", "\"step\": 12.5"},
      {"\"step\": 123", "\"step\": -1"},
      {"\"step\": 123", "\"step\": null"},
      {"\"ranks\": 2", "\"ranks\": [2]"},
      {"\"tables\": [", "\"tables\": {}, \"others\": ["},
      {"\"dense\": [", "\"dense\": 0, \"others\": ["},
      {"\"width\":4", "\"width\":4.5"},
      {"\"type\":\"f64\"", "\"type\":\"f8\""},
      {"\"rows\":[3]", "\"rows\":[-1]"},
      {"\"rows\":[3]", "\"rows\":[281474976710657]"},
      {"\"filled\":[0]", "\"filled\":[2]"},
      {"\"filled\":[0]", "\"filled\":[-1]"},
      {"\"filled\":[0]", "\"filled\":[0,1]"},
      {"\"shards\":2", "\"shards\":0"},
      {"\"shards\":2", "\"shards\":1025"},
      {"\"offsets\":[40,", "\"offsets\":["},
      {"\"offsets\":[40,", "\"offsets\":[40,40,"},
      {"\"offsets\":[40,", "\"offsets\":[-40,"},
      {"\"offsets\":[40,", "\"offsets\":[\"40\","},
      {"\"offset\":200", "\"offset\":-1"},
  };
  for (const auto& [from, to] : changes) {
    EXPECT_NE(complaint(with(from, to)), "") << from << " as " << to;
  }
}

TEST(Manifest, AValueAtItsBoundIsTaken) {
  Manifest manifest = some_manifest();
  manifest.step = std::int64_t{1} << 48;
  EXPECT_EQ(complaint(manifest_text(manifest)), "");
  ++manifest.step;
  EXPECT_NE(complaint(manifest_text(manifest)), "");
}

TEST(Manifest, NamesTheStateDigestOfItsTables) {
  const std::string message = complaint(with("\"step\": 123", "\"step\": 124"));
  EXPECT_EQ(message.find("M: expected the state digest " + some_manifest().state_digest().hex()),
            0u)
      << message;
}

TEST(Manifest, ADatasetLiesWholeInsideItsFile) {
  const std::string first = "M: rank-0000-of-0002.h5:", second = "M: rank-0001-of-0002.h5:";
  const std::string keys = "/tables/C1%2Fa/keys: ", dense = "/dense/weights/w0: ";
  for (const auto& [from, to, message] : std::vector<std::array<std::string, 3>>{
           // Keys at the end of the file of 300 bytes, and one byte later.
           {"\"offsets\":[40,", "\"offsets\":[276,", ""},
           {"\"offsets\":[40,", "\"offsets\":[277,",
            first + keys + "expected 24 bytes inside a file of 300: found them at offset 277"},
           {"\"offsets\":[40,", "\"offsets\":[281474976710656,",
            first + keys +
                "expected 24 bytes inside a file of 300: found them at offset 281474976710656"},
           {"\"offset\":200", "\"offset\":241",
            first + dense + "expected 60 bytes inside a file of 300: found them at offset 241"},
           // Sizes whose product is no number of 64 bits.
           {"\"rows\":[3]", "\"rows\":[281474976710656]",
            first + keys +
                "expected a dataset that fits its file of 300 bytes: found 8 times "
                "281474976710656"},
           {"\"width\":4", "\"width\":281474976710656",
            first + "/tables/C1%2Fa/values/v: expected a dataset that fits its file of 300 bytes: "
                    "found 4 times 281474976710656"},
           {"\"shape\":[3,5]", "\"shape\":[281474976710656,281474976710656,0]", ""},
           {"\"shape\":[3,5]", "\"shape\":[3,281474976710656,281474976710656]",
            first + dense +
                "expected a dataset that fits its file of 300 bytes: found 12 times "
                "281474976710656"},
           // Rows of the second rank.
           {"\"filled\":[0]", "\"filled\":[1]", second + keys + "expected bytes"}}) {
    const std::string found = complaint(with(from, to));
    if (message.ends_with("expected bytes")) {
      // All three lie at 0.
      EXPECT_TRUE(found.starts_with(second + "/tables/C1%2Fa/")) << found;
      EXPECT_NE(found.find("expected bytes of its own"), std::string::npos) << found;
    } else {
      EXPECT_EQ(found, message) << from << " as " << to;
    }
  }
}

TEST(Manifest, NoTwoDatasetsShareAByte) {
  EXPECT_EQ(
      complaint(with("\"offsets\":[40,64,", "\"offsets\":[40,63,")),
      "M: rank-0000-of-0002.h5:/tables/C1%2Fa/values/v: expected bytes of its own: found [63, "
      "111), and /tables/C1%2Fa/keys at [40, 64)");
  EXPECT_EQ(
      complaint(with("\"offset\":200", "\"offset\":159")),
      "M: rank-0000-of-0002.h5:/dense/weights/w0: expected bytes of its own: found [159, 219), "
      "and /tables/C1%2Fa/state/v/m at [112, 160)");
  EXPECT_EQ(complaint(with("\"offset\":200", "\"offset\":160")), "");
}

TEST(Manifest, DigestsAreThirtyTwoLowerCaseHexadecimalDigits) {
  const std::string digest = (Digest128{7, 8}).hex();
  for (const std::string& wrong :
       {std::string("0"), digest.substr(1), std::string(32, 'G'), std::string(32, 'A'),
        std::string(31, '0') + "-", " " + digest.substr(1), std::string()}) {
    EXPECT_NE(complaint(with(digest, wrong)), "") << "\"" << wrong << "\"";
  }
}

TEST(Manifest, ATableHasADigestForEveryColumnOfEveryShard) {
  EXPECT_NE(complaint(with("\"rows\":[3]", "\"rows\":[]")), "");
  EXPECT_NE(complaint(with("\"rows\":[3]", "\"rows\":[3,1]")), "");
  EXPECT_NE(complaint(with((Digest128{0, ~0ull}).hex(), "")), "");
}

TEST(Manifest, FilesAreThoseOfItsRanksAndTheOverview) {
  Manifest missing = some_manifest();
  missing.files.pop_back();
  EXPECT_NE(complaint(manifest_text(missing)), "");
  Manifest twice = some_manifest();
  twice.files[1] = twice.files[0];
  EXPECT_NE(complaint(manifest_text(twice)), "");
  Manifest foreign = some_manifest();
  foreign.files[0].name = "../rank-0000-of-0002.h5";
  EXPECT_NE(complaint(manifest_text(foreign)), "");
  Manifest more_ranks = some_manifest();
  more_ranks.ranks = 3;
  EXPECT_NE(complaint(manifest_text(more_ranks)), "");
}

TEST(Manifest, AnotherFormatIsSaidWithBothNumbers) {
  const std::string message = complaint(with("\"format\": 4", "\"format\": 5"));
  EXPECT_NE(message.find("expected format version 1 to 4,"), std::string::npos) << message;
  EXPECT_TRUE(message.ends_with("found 5")) << message;
}

/// The text of some_manifest after these changes, sealed.
std::string changed(const std::vector<std::pair<std::string, std::string>>& changes) {
  std::string text = manifest_text(some_manifest());
  for (const auto& [from, to] : changes) {
    EXPECT_NE(text.find(from), std::string::npos) << from << " is not in " << text;
    text.replace(text.find(from), from.size(), to);
  }
  return sealed(text);
}

TEST(Manifest, OfFormatTwoNamesNoPlaces) {
  const Manifest read =
      parse_manifest(changed({{"\"format\": 4", "\"format\": 2"},
                              {"\"offsets\":[40,64,112,0,0,0],\"owners\":[],", ""},
                              {"\"offset\":200,", ""}}),
                     "M");
  EXPECT_EQ(read.format, 2);
  const ManifestTable& table = read.tables.at(0);
  EXPECT_EQ(table.filled, std::vector<std::int64_t>{0});
  EXPECT_EQ(table.rows, std::vector<std::int64_t>{3});
  EXPECT_EQ(table.digests, some_manifest().tables[0].digests);
  EXPECT_TRUE(table.offsets.empty());
}

TEST(Manifest, OfFormatOneListsShardsWithoutRows) {
  const std::string last = (Digest128{2, ~2ull}).hex(), empty = digest_of("", 0).hex();
  const Manifest read =
      parse_manifest(changed({{"\"format\": 4", "\"format\": 1"},
                              {"\"shards\":2,\"filled\":[0],\"rows\":[3]", "\"rows\":[3,0]"},
                              {"\"offsets\":[40,64,112,0,0,0],\"owners\":[],", ""},
                              {last, last + empty + empty + empty}}),
                     "M");
  EXPECT_EQ(read.format, 1);
  const ManifestTable& table = read.tables.at(0);
  EXPECT_EQ(table.shards, 2);
  EXPECT_EQ(table.filled, std::vector<std::int64_t>{0});
  EXPECT_EQ(table.rows, std::vector<std::int64_t>{3});
  EXPECT_EQ(table.digests, some_manifest().tables[0].digests);
}

TEST(Manifest, NamesTheOwnersOfATable) {
  Manifest manifest = some_manifest();
  for (const std::vector<std::int64_t>& owners :
       {std::vector<std::int64_t>{2}, {1, 1}, {0, 1, 0}}) {
    manifest.tables[0].owners = owners;
    const std::string found = complaint(manifest_text(manifest));
    EXPECT_NE(found.find("expected owners among the ranks 0 to 1"), std::string::npos) << found;
  }
}

TEST(Manifest, FindsATableByItsNameOrNamesThoseThereAre) {
  const Manifest manifest = some_manifest();
  EXPECT_EQ(&manifest.table("C1/a", "here"), &manifest.tables[0]);
  try {
    manifest.table("C2", "here");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_EQ(error.text(), "here: expected a table C2: found C1/a");
  }
}

TEST(ManifestTable, CountsRowsAndFindsTheDigestsOfAShard) {
  ManifestTable table = some_manifest().tables[0];
  table.shards = 6;
  table.filled = {0, 2, 3};
  table.rows = {3, 5, 1};
  table.digests.insert(table.digests.end(), {{3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8}});

  EXPECT_EQ(table.rows_in({0, 6}), 9);
  EXPECT_EQ(table.rows_in({1, 3}), 5);
  EXPECT_EQ(table.rows_in({2, 2}), 0);
  EXPECT_EQ(table.rows_in({4, 6}), 0);
  EXPECT_EQ(table.rows_of({1, 5}), (std::vector<std::int64_t>{0, 5, 1, 0}));
  EXPECT_EQ(table.digests_of(0)[2], (Digest128{2, ~2ull}));
  EXPECT_EQ(table.digests_of(3)[0], (Digest128{6, 6}));  // three columns a shard
}

TEST(ManifestTable, KnowsWhereTheDatasetsOfARankBegin) {
  ManifestTable table = some_manifest().tables[0];
  EXPECT_EQ(table.offsets_of(0)[2], 112);
  EXPECT_EQ(table.offsets_of(1).size(), 3);
  table.offsets.clear();
  EXPECT_TRUE(table.offsets_of(1).empty());
}

TEST(ManifestDense, HasTheBytesOfItsShape) {
  EXPECT_EQ((ManifestDense{"w", ElementType::f32, {3, 5}, 0, {}}).bytes(), 60);
  EXPECT_EQ((ManifestDense{"w", ElementType::f64, {}, 0, {}}).bytes(), 8);
  EXPECT_EQ((ManifestDense{"w", ElementType::u8, {4, 0}, 0, {}}).bytes(), 0);
}

/// FORMATS.md: names with their lengths, the digests as they stand, the dense parts, the step.
TEST(Manifest, StateDigestIsThatOfTheFormat) {
  const Manifest manifest = some_manifest();
  Digest expected;
  for (const char* name : {"C1/a", "keys", "values/v", "state/v/m"}) {
    expected.add(std::string_view(name));
  }
  for (const Digest128& digest : manifest.tables[0].digests) {
    expected.add(digest);
  }
  for (int column = 0; column < 3; ++column) {
    expected.add(digest_of("", 0));  // the second shard has no rows
  }
  expected.add(std::string_view("weights/w0")).add(Digest128{7, 8});
  expected.add(std::uint64_t{123});

  EXPECT_EQ(manifest.state_digest(), expected.result());
}

TEST(Manifest, StateDigestKnowsNothingOfRanksFilesAndOptions) {
  const Manifest manifest = some_manifest();
  Manifest other = manifest;
  other.ranks = 3;
  other.files.clear();
  other.config = other.state = {};
  other.tables[0].shape.options = {};
  EXPECT_EQ(other.state_digest(), manifest.state_digest());
  other.step = 124;
  EXPECT_NE(other.state_digest(), manifest.state_digest());
}

TEST(RankFileName, HasFourDigitsAtLeast) {
  EXPECT_EQ(rank_file_name(3, 8), "rank-0003-of-0008.h5");
  EXPECT_EQ(rank_file_name(12'345, 100'000), "rank-12345-of-100000.h5");
}

}  // namespace
}  // namespace keyshard
