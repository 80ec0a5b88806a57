// Records of files in one pass, and windows of records: all records of the text, in order, each
// with its place.
#include "io/text_stream.hpp"

#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::make_column;
using testing::ScratchFolder;

/// Everything that a stream gives.
struct Streamed {
  std::vector<std::string> texts;
  std::vector<TextPlace> places;
};

Streamed drain(TextStream& stream) {
  Streamed all;
  std::string_view text;
  TextPlace place;
  while (stream.next(text, place)) {
    all.texts.emplace_back(text);
    all.places.push_back(place);
  }
  return all;
}

TextFile file_of(const std::string& path) { return {path, {}, nullptr}; }

TextFile memory_of(const std::string& content) {
  return {"memory", {}, memory_source("memory", content)};
}

TEST(TextStream, GivesTheRecordsOfAllFilesWithTheirPlaces) {
  const ScratchFolder folder;
  std::vector<TextFile> files;
  files.push_back(file_of(folder.write("a", "1\n\n2\r\n")));
  files.push_back(memory_of("3\n"));
  files.push_back(file_of(folder.write("c", "\n4")));
  TextStream stream(files, 0, false);
  const Streamed all = drain(stream);

  EXPECT_EQ(all.texts, (std::vector<std::string>{"1", "2", "3", "4"}));
  const std::vector<std::int64_t> expected_files{0, 0, 1, 2}, expected_lines{1, 3, 1, 2};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all.places[i].record, static_cast<std::int64_t>(i));
    EXPECT_EQ(all.places[i].file, expected_files[i]);
    EXPECT_EQ(all.places[i].line, expected_lines[i]);
  }
}

TEST(TextStream, EndsForGood) {
  std::vector<TextFile> files;
  files.push_back(memory_of("1\n"));
  TextStream stream(files, 0, false);
  std::string_view text;
  TextPlace place;

  EXPECT_TRUE(stream.next(text, place));
  EXPECT_FALSE(stream.next(text, place));
  EXPECT_FALSE(stream.next(text, place));
}

TEST(TextStream, SkipsTheFirstLinesOfEveryFileAndKeepsTheHeader) {
  std::vector<TextFile> files;
  files.push_back(memory_of("note\nx,y\n1\n"));
  files.push_back(memory_of("note\ny,x\n\n2\n"));
  TextStream stream(files, 1, true);
  const Streamed all = drain(stream);

  EXPECT_EQ(all.texts, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(all.places[1].line, 4);
  ASSERT_EQ(stream.starts().size(), 2u);
  EXPECT_EQ(stream.starts()[0].header, "x,y");
  EXPECT_EQ(stream.starts()[1].header, "y,x");
  EXPECT_EQ(stream.starts()[1].header_line, 2);
  EXPECT_EQ(stream.starts()[1].line, 3);
}

TEST(TextStream, OpensAFileWhenTheOneBeforeHasEnded) {
  const ScratchFolder folder;
  std::vector<TextFile> files;
  files.push_back(memory_of("1\n2\n"));
  files.push_back(file_of(folder.path("none")));
  TextStream stream(files, 0, false);
  std::string_view text;
  TextPlace place;
  EXPECT_TRUE(stream.next(text, place));
  EXPECT_EQ(stream.starts().size(), 1u);
  EXPECT_TRUE(stream.next(text, place));
  try {
    stream.next(text, place);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_EQ(folder.without_path(error.text()).find("none: "), 0u) << error.text();
  }
}

TEST(TextStream, TakesRecordsOfAnyLength) {
  // Pieces of a file are read 1 MiB at a time: ends of lines and of pieces fall everywhere.
  std::mt19937 random(3);
  std::vector<std::string> expected;
  std::string text;
  for (const std::size_t size : {1u << 20, (1u << 20) - 1, 3'000'000u, 1u, 1'048'575u, 5u}) {
    expected.push_back(std::string(size, static_cast<char>('a' + random() % 26)));
    text += expected.back() + "\n";
  }
  const ScratchFolder folder;
  std::vector<TextFile> files;
  files.push_back(file_of(folder.write("long", text)));
  TextStream stream(files, 0, false);

  EXPECT_EQ(drain(stream).texts, expected);
  EXPECT_EQ(stream.file_bytes(), static_cast<std::int64_t>(text.size()));
}

TEST(TextStream, ALineEndOfTwoCharactersMayFallBetweenTwoPieces) {
  const std::string first((1u << 20) - 1, 'a');
  std::vector<TextFile> files;
  files.push_back(memory_of(first + "\r\nb\r\n"));
  TextStream stream(files, 0, false);

  EXPECT_EQ(drain(stream).texts, (std::vector<std::string>{first, "b"}));
}

TEST(TextWindow, GivesItsRecordsInTheOrderThatIsSet) {
  TextWindow window;
  EXPECT_EQ(window.number(), -1);
  window.begin(4);
  window.add("first", {10, 0, 1});
  window.add("", {11, 0, 2});
  window.add("third", {12, 1, 7});
  window.set_order({2, 0, 1});

  EXPECT_EQ(window.number(), 4);
  ASSERT_EQ(window.size(), 3);
  EXPECT_EQ(window.text(0), "third");
  EXPECT_EQ(window.text(1), "first");
  EXPECT_EQ(window.text(2), "");
  EXPECT_EQ(window.place(0).line, 7);
  EXPECT_EQ(window.place(0).file, 1);
  EXPECT_EQ(window.place(2).record, 11);
}

TEST(TextWindow, HoldsNothingOfTheOneBefore) {
  TextWindow window;
  window.begin(0);
  window.add("old", {1, 0, 1});
  window.set_order({0});
  window.begin(1);
  EXPECT_EQ(window.size(), 0);
  window.add("new", {2, 0, 2});
  window.set_order({0});

  EXPECT_EQ(window.text(0), "new");
  EXPECT_EQ(window.place(0).record, 2);
}

TEST(TextWindow, FetchingAheadBeyondItsEndDoesNothing) {
  TextWindow window;
  window.begin(0);
  window.add(std::string(1000, 'x'), {0, 0, 1});
  window.set_order({0});
  window.prefetch(0);
  window.prefetch(1);

  EXPECT_EQ(window.text(0), std::string(1000, 'x'));
}

DataOptions label_and_number() {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label),
                     make_column("x", 1, ColumnRole::dense)};
  return options;
}

TEST(WindowParser, AddsSamplesWithTheirNumbersAndLeavesHolesForBadLines) {
  WindowParser parser(label_and_number(), {"a.csv", "b.csv"}, {TextStart{}, TextStart{}});
  TextWindow window;
  window.begin(0);
  window.add("1,5", {0, 0, 3});
  window.add("1,wrong", {1, 1, 8});
  window.add("0,worse", {2, 0, 9});
  window.add("0,6", {3, 1, 9});
  window.set_order({0, 1, 2, 3});
  Batch batch;
  for (std::int64_t i = 0; i < 4; ++i) {
    parser.add(window, i, 100 + i, batch);
  }

  EXPECT_EQ(batch.dense, (std::vector<float>{5, 6}));
  EXPECT_EQ(batch.sample_numbers, (std::vector<std::int64_t>{100, 103}));
  EXPECT_EQ(batch.records, (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(batch.bad_lines, 2);
  EXPECT_EQ(batch.first_bad_line, "b.csv:8: column \"x\": expected a number: found \"wrong\"");
}

TEST(WindowParser, FindsTheColumnsOfEachFileByItsOwnHeader) {
  DataOptions options = label_and_number();
  options.header = true;
  options.columns[0].index = -1;
  options.columns[1].index = -1;
  TextStart first, second;
  first.header = "y,x";
  second.header = "x,z,y";
  WindowParser parser(options, {"a", "b"}, {first, second});
  TextWindow window;
  window.begin(0);
  window.add("1,5", {0, 0, 2});
  window.add("6,7,0", {1, 1, 2});
  window.set_order({0, 1});
  Batch batch;
  parser.add(window, 0, 0, batch);
  parser.add(window, 1, 1, batch);

  EXPECT_EQ(batch.labels, (std::vector<float>{1, 0}));
  EXPECT_EQ(batch.dense, (std::vector<float>{5, 6}));
}

/// The error of a parser of files with these headers, of columns with an index.
std::string complaint_of_headers(const std::vector<std::string>& headers) {
  DataOptions options = label_and_number();
  options.header = true;
  std::vector<std::string> names;
  std::vector<TextStart> starts;
  for (const std::string& header : headers) {
    names.push_back(fmt::format("part-{}", names.size()));
    starts.push_back({});
    starts.back().header = header;
    starts.back().header_line = 1;
  }
  try {
    WindowParser(options, names, starts);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    return error.text();
  }
  return "";
}

TEST(WindowParser, TakesNoRecordForAHeaderWhereColumnsHaveAnIndex) {
  EXPECT_EQ(complaint_of_headers({"y,x", "y,x"}), "");
  EXPECT_EQ(complaint_of_headers({"label,price"}), "");
  EXPECT_EQ(complaint_of_headers({"1,5"}),
            "part-0:1: expected a header, for data.header = true: found a line that reads as a "
            "record: \"1,5\"; set header = false, or skip_lines to drop lines");
  EXPECT_EQ(complaint_of_headers({"label,price", "0,6"}),
            "part-1:1: expected the header of part-0:1, for every column has an index: found "
            "\"0,6\"");
}

TEST(WindowParser, HoldsAllFilesWithoutAHeaderToTheFirstRecord) {
  TextStart empty, first;
  empty.empty = true;
  first.first_record = "1,5,x";
  first.first_record_line = 2;
  WindowParser parser(label_and_number(), {"a", "b", "c"}, {empty, first, TextStart{}});
  TextWindow window;
  window.begin(0);
  window.add("1,5,x", {0, 1, 2});
  window.add("0,6", {1, 2, 1});
  window.set_order({0, 1});
  Batch batch;
  parser.add(window, 0, 0, batch);
  parser.add(window, 1, 1, batch);
  EXPECT_EQ(batch.samples(), 1);
  EXPECT_EQ(batch.first_bad_line, "c:1: expected 3 cells as in the first record, b:2: found 2");
}

TEST(WindowParser, NamesFileAndLineOfAHeaderThatLacksAColumn) {
  DataOptions options = label_and_number();
  options.header = true;
  options.columns[1].name = "price";
  options.columns[1].index = -1;
  TextStart start;
  start.header = "y,pirce";
  start.header_line = 3;
  try {
    WindowParser(options, {"a.csv"}, {start});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_EQ(error.text(),
              "a.csv:3: expected a column \"price\" in the header: found 2 other columns, between "
              "separators \",\": \"y\", \"pirce\"; did you mean \"pirce\"?");
  }
}

}  // namespace
}  // namespace keyshard
