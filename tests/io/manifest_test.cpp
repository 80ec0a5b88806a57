// The manifest of a checkpoint, by FORMATS.md: written and parsed, its digest, and every member
// that is missing, has a wrong type, or contradicts another.
#include "io/manifest.hpp"

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
  table.rows = {3, 0};
  table.digests = {{0, ~0ull}, {1, ~1ull}, {2, ~2ull}};
  table.digests.resize(6, digest_of("", 0));  // the second shard has no rows
  manifest.tables = {table};
  manifest.dense = {{"weights/w0", ElementType::f32, {3, 5}, {7, 8}}};
  manifest.files = {{"rank-0000-of-0002.h5", 100, {1, 2}},
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
  EXPECT_EQ(read.tables[0].digests, written.tables[0].digests);
  ASSERT_EQ(read.dense.size(), 1u);
  EXPECT_EQ(read.dense[0].name, "weights/w0");
  EXPECT_EQ(read.dense[0].shape, (std::vector<std::int64_t>{3, 5}));
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
       {"format", "step", "ranks", "state", "config", "files", "dense", "tables", "columns",
        "options", "shards", "filled", "rows", "digests", "shape", "bytes", "type", "width"}) {
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
  };
  for (const auto& [from, to] : changes) {
    EXPECT_NE(complaint(with(from, to)), "") << from << " as " << to;
  }
}

TEST(Manifest, AValueAtItsBoundIsTaken) {
  EXPECT_EQ(complaint(with("\"rows\":[3]", "\"rows\":[281474976710656]")), "");
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
  const std::string message = complaint(with("\"format\": 2", "\"format\": 4"));
  EXPECT_NE(message.find("expected format version 1 to 3"), std::string::npos) << message;
  EXPECT_NE(message.find("found 4"), std::string::npos) << message;
}

TEST(Manifest, OfFormatOneListsShardsWithoutRows) {
  std::string text = manifest_text(some_manifest());
  const std::string empty = digest_of("", 0).hex();
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"format\": 2", "\"format\": 1"},
           {"\"shards\":2,\"filled\":[0],\"rows\":[3]", "\"rows\":[3,0]"},
           {(Digest128{2, ~2ull}).hex(), (Digest128{2, ~2ull}).hex() + empty + empty + empty}}) {
    ASSERT_NE(text.find(from), std::string::npos) << from << " is not in " << text;
    text.replace(text.find(from), from.size(), to);
  }
  const ManifestTable read = parse_manifest(sealed(text), "M").tables.at(0);
  EXPECT_EQ(read.rows, some_manifest().tables[0].rows);
  EXPECT_EQ(read.digests, some_manifest().tables[0].digests);
}

TEST(Manifest, OfATableWithOwnersIsOfFormatThree) {
  EXPECT_NE(manifest_text(some_manifest()).find("\"format\": 2,"), std::string::npos);
  Manifest manifest = some_manifest();
  manifest.tables.push_back(manifest.tables[0]);
  manifest.tables[1].shape.name = "C2";
  manifest.tables[1].owners = {1};
  const std::string text = manifest_text(manifest);

  EXPECT_NE(text.find("\"format\": 3,"), std::string::npos);
  const Manifest read = parse_manifest(text, "M");
  EXPECT_EQ(read.tables[0].owners, std::vector<std::int64_t>{});
  EXPECT_EQ(read.tables[1].owners, std::vector<std::int64_t>{1});
  EXPECT_EQ(read.tables[1].rows, manifest.tables[1].rows);
  EXPECT_EQ(read.tables[1].digests, manifest.tables[1].digests);
  for (const std::vector<std::int64_t>& owners :
       {std::vector<std::int64_t>{2}, {1, 1}, {0, 1, 0}}) {
    manifest.tables[1].owners = owners;
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
  table.rows = {3, 0, 5, 1};

  EXPECT_EQ(table.shards(), 4);
  EXPECT_EQ(table.rows_in({0, 4}), 9);
  EXPECT_EQ(table.rows_in({1, 3}), 5);
  EXPECT_EQ(table.rows_in({2, 2}), 0);
  EXPECT_EQ(table.digests_of(1)[0], digest_of("", 0));  // three columns a shard
}

TEST(ManifestDense, HasTheBytesOfItsShape) {
  EXPECT_EQ((ManifestDense{"w", ElementType::f32, {3, 5}, {}}).bytes(), 60);
  EXPECT_EQ((ManifestDense{"w", ElementType::f64, {}, {}}).bytes(), 8);
  EXPECT_EQ((ManifestDense{"w", ElementType::u8, {4, 0}, {}}).bytes(), 0);
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
