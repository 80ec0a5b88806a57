// Cells of a line against a slow reading of them: how lines are split and unquoted, which numbers
// are legal, and what each column makes of its cell.
#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/text_record.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"

namespace keyshard {
namespace {

using testing::make_column;

enum class Cut { whole, open_quote, text_behind_quote };

/// Cells of a line by the rules of the configuration, character by character. A cell that begins
/// with a quote (behind blanks, where those are dropped) ends with its closing quote; two quotes in
/// it stand for one. Any other quote is text.
struct SlowCells {
  std::string line, separator;
  bool quote, trim;
  std::size_t at = 0;
  std::vector<std::string> cells = {};

  bool ends() const {
    return at == line.size() || line.compare(at, separator.size(), separator) == 0;
  }

  bool blank() const { return trim && !ends() && (line[at] == ' ' || line[at] == '\t'); }

  static std::string without_blanks(std::string cell) {
    while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) {
      cell.pop_back();
    }
    while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) {
      cell.erase(0, 1);
    }
    return cell;
  }

  Cut take_quoted(std::string& cell) {
    for (++at; at < line.size(); ++at) {
      if (line[at] != '"') {
        cell += line[at];
      } else if (at + 1 < line.size() && line[at + 1] == '"') {
        cell += line[at++];
      } else {
        ++at;
        while (blank()) {
          ++at;
        }
        return ends() ? Cut::whole : Cut::text_behind_quote;
      }
    }
    return Cut::open_quote;
  }

  Cut take_cell() {
    std::string cell;
    const std::size_t begin = at;
    while (quote && blank()) {
      ++at;
    }
    if (quote && !ends() && line[at] == '"') {
      if (const Cut cut = take_quoted(cell); cut != Cut::whole) {
        return cut;
      }
    } else {
      for (at = begin; !ends(); ++at) {
        cell += line[at];
      }
    }
    cells.push_back(trim ? without_blanks(cell) : cell);
    return Cut::whole;
  }

  Cut take_line() {
    for (;;) {
      if (const Cut cut = take_cell(); cut != Cut::whole || at == line.size()) {
        return cut;
      }
      at += separator.size();
    }
  }
};

/// A label in cell 0 and strings as ids in cells 1 to 3; nothing is missing.
DataOptions three_strings(const std::string& separator, bool quote, bool trim) {
  DataOptions options;
  options.separator = separator;
  options.quote = quote;
  options.trim = trim;
  options.missing = {};
  options.columns = {make_column("y", 0, ColumnRole::label)};
  options.columns[0].positive = {"1"};
  for (std::int64_t i = 1; i <= 3; ++i) {
    options.columns.push_back(make_column("c", i, ColumnRole::id));
  }
  return options;
}

/// Expects that a line is read as the slow reading reads it.
void expect_read_alike(const DataOptions& options, const std::string& line) {
  RecordParser parser(options, "", "here:1");
  Batch batch;
  const std::optional<std::string> problem = parser.parse(line, batch);
  SlowCells slow{line, options.separator, options.quote, options.trim};
  const Cut cut = slow.take_line();
  const std::vector<std::string>& cells = slow.cells;
  if (cut == Cut::open_quote) {
    ASSERT_EQ(problem.value_or("").find("expected a closing quote on the same line"), 0u) << line;
  } else if (cut == Cut::text_behind_quote) {
    ASSERT_EQ(problem.value_or("").find("expected a separator behind a closing quote"), 0u) << line;
  } else if (cells.size() < 4) {
    ASSERT_EQ(
        problem.value_or("").find(fmt::format("expected at least 4 cells: found {}", cells.size())),
        0u)
        << line;
  } else {
    ASSERT_EQ(problem, std::nullopt) << line;
    ASSERT_EQ(batch.labels[0], cells[0] == "1" ? 1.0f : 0.0f) << line;
    for (std::size_t i = 0; i < 3; ++i) {
      ASSERT_EQ(batch.ids[i], hash_bytes(cells[i + 1], hash_bytes("c"))) << line;
    }
  }
}

TEST(TextCells, RandomLinesAreSplitAsASlowReadingSplitsThem) {
  for (const std::string& separator : {std::string(","), std::string("::"), std::string("\t")}) {
    for (int setting = 0; setting < 4; ++setting) {
      const DataOptions options = three_strings(separator, (setting & 1) != 0, (setting & 2) != 0);
      std::mt19937 random(41);
      const std::string alphabet = "1ab :\t\"\"" + separator + separator + separator + separator;
      for (int i = 0; i < 4000; ++i) {
        std::string line;
        for (auto size = random() % 16; size > 0; --size) {
          line += alphabet[random() % alphabet.size()];
        }
        expect_read_alike(options, line);
        if (::testing::Test::HasFatalFailure()) {
          return;
        }
      }
    }
  }
}

TEST(TextCells, LinesOfEveryShapeAreReadAsByHand) {
  const DataOptions plain = three_strings(",", false, false);
  const DataOptions quoted = three_strings(",", true, false);
  for (const char* line :
       {"", ",", ",,,", "1,a,b,c", "1,a,b,c,d,e", "1, a ,b\t,c", "1,\"a\",b,c", "1,\"a,b,c"}) {
    expect_read_alike(plain, line);
  }
  for (const char* line : {"1,\"a\",\"b\",\"c\"", "1,\"\",\"\"\"\",c", "1,x\"y,z\"w,b,c",
                           "\"1\",a,b,c", "1,a,b,\"c\"\"\"", "1,a,b,c\"", "1,a,\"b\",", "\"\"\"",
                           "1,\"a\"b,b,c", "1,5\" x,6\" y,c", "1,\"a,b\",b,c"}) {
    expect_read_alike(quoted, line);
  }
}

/// A label in cell 0, and one column in cell 1.
DataOptions label_and(ColumnOptions column) {
  DataOptions options;
  options.columns = {make_column("y", 0, ColumnRole::label), std::move(column)};
  return options;
}

/// The dense value of a cell; nothing where the line is bad.
std::optional<float> dense_of(const ColumnOptions& column, const std::string& cell) {
  RecordParser parser(label_and(column), "", "here:1");
  Batch batch;
  if (parser.parse("1," + cell, batch)) {
    EXPECT_TRUE(batch.dense.empty());
    return std::nullopt;
  }
  return batch.dense.at(0);
}

TEST(TextNumbers, AreTheNearestFloatsOfTheirDecimals) {
  const ColumnOptions column = make_column("x", 1, ColumnRole::dense);
  std::mt19937_64 random(42);
  for (int i = 0; i < 3000; ++i) {
    const double value =
        std::ldexp(static_cast<double>(random()), -static_cast<int>(random() % 90)) *
        (i % 2 == 0 ? 1 : -1);
    for (const std::string& cell :
         {fmt::format("{}", value), fmt::format("{:.17e}", value), fmt::format("{:.3f}", value)}) {
      ASSERT_EQ(dense_of(column, cell), static_cast<float>(std::stod(cell))) << cell;
    }
  }
}

TEST(TextNumbers, OfEveryLegalSpellingAreRead) {
  const ColumnOptions column = make_column("x", 1, ColumnRole::dense);
  const std::vector<std::pair<const char*, float>> cells{
      {"0", 0},       {"-0", -0.0f},    {"+7", 7},       {"7.", 7},        {".5", 0.5f},
      {"-.5", -0.5f}, {"1e3", 1000},    {"1E3", 1000},   {"1e+3", 1000},   {"1e-3", 0.001f},
      {"007", 7},     {"+0.25", 0.25f}, {"1e38", 1e38f}, {"-1e38", -1e38f}};
  for (const auto& [cell, value] : cells) {
    EXPECT_EQ(dense_of(column, cell), value) << cell;
  }
}

TEST(TextNumbers, ThatAreNoneMakeABadLine) {
  const ColumnOptions column = make_column("x", 1, ColumnRole::dense);
  for (const char* cell : {"a",
                           "1a",
                           "1 ",
                           " 1",
                           "--1",
                           "++1",
                           "+-1",
                           "1e",
                           "1e+",
                           "e5",
                           ".",
                           "-",
                           "1.2.3",
                           "0x1p3",
                           "nan",
                           "NaN",
                           "inf",
                           "-inf",
                           "infinity",
                           "1_000",
                           "1e400",
                           "\xEF\xBB\xBF"
                           "1"}) {
    EXPECT_EQ(dense_of(column, cell), std::nullopt) << cell;
  }
}

TEST(TextNumbers, BeyondTheFloatsMakeABadLine) {
  const ColumnOptions column = make_column("x", 1, ColumnRole::dense);
  EXPECT_EQ(dense_of(column, "3.4e38"), 3.4e38f);
  EXPECT_EQ(dense_of(column, "3.5e38"), std::nullopt);
  EXPECT_EQ(dense_of(column, "-1e300"), std::nullopt);
  for (const ColumnRole role : {ColumnRole::label, ColumnRole::weight}) {
    DataOptions options;
    options.columns = {make_column("y", 0, role)};
    RecordParser parser(options, "", "here:1");
    Batch batch;
    EXPECT_EQ(parser.parse("1e39", batch),
              "column \"y\": expected a number of 32 bits: found \"1e39\", which is not finite as "
              "float32");
    EXPECT_EQ(parser.parse("1e38", batch), std::nullopt);
  }
}

TEST(TextNumbers, BeyondTheFloatsAreLegalWhereTheirTransformIsNot) {
  ColumnOptions column = make_column("x", 1, ColumnRole::dense);
  column.transform = DenseTransform::log;
  // log(1 + 1e300) = 300 log 10
  EXPECT_EQ(dense_of(column, "1e300"), 690.77553f);
  column.transform = DenseTransform::standard;
  column.stddev = 1e300;
  EXPECT_EQ(dense_of(column, "-3e300"), -3.0f);
}

TEST(TextNumbers, AreTransformedAsTheirDefinitionSays) {
  std::mt19937 random(43);
  std::uniform_real_distribution<double> draw(-1000, 1000);
  for (int i = 0; i < 2000; ++i) {
    const double x = draw(random);
    const std::string cell = fmt::format("{:.17g}", x);
    ColumnOptions column = make_column("x", 1, ColumnRole::dense);
    column.transform = DenseTransform::log;
    const double logarithm = std::copysign(std::log1p(std::fabs(x)), x);
    ASSERT_NEAR(*dense_of(column, cell), logarithm, 1e-6 * std::fabs(logarithm)) << cell;
    column.transform = DenseTransform::standard;
    column.mean = 12.5;
    column.stddev = 4;
    ASSERT_EQ(dense_of(column, cell), static_cast<float>((x - 12.5) / 4)) << cell;
  }
}

TEST(TextNumbers, FallIntoTheBucketOfTheBoundariesBelowThem) {
  ColumnOptions column = make_column("x", 1, ColumnRole::dense);
  std::mt19937 random(44);
  for (int round = 0; round < 300; ++round) {
    column.buckets.clear();
    for (auto n = 1 + random() % 6; n > 0; --n) {
      column.buckets.push_back(static_cast<double>(random() % 20) - 10);
    }
    std::sort(column.buckets.begin(), column.buckets.end());
    const double x = static_cast<double>(random() % 24) - 12;
    RecordParser parser(label_and(column), "", "here:1");
    Batch batch;
    ASSERT_EQ(parser.parse(fmt::format("1,{}", x), batch), std::nullopt);
    Key below = 0;
    for (const double boundary : column.buckets) {
      below += boundary <= x;
    }
    ASSERT_EQ(batch.ids, std::vector<Key>{below}) << x;
  }
}

TEST(TextLists, HoldTheIdsBetweenTheirSeparatorsUpToTheirMaximum) {
  std::mt19937 random(45);
  for (int round = 0; round < 500; ++round) {
    ColumnOptions column = make_column("c", 1, ColumnRole::ids);
    column.integer = true;
    column.list_separator = round % 2 == 0 ? "|" : "; ";
    column.max_length = random() % 5;
    std::vector<Key> expected;
    std::string cell;
    for (auto n = random() % 8; n > 0; --n) {
      const bool missing = random() % 4 == 0;
      const Key id = random() % 100;
      cell += expected.empty() ? "" : column.list_separator;
      cell += missing ? "?" : std::to_string(id);
      expected.push_back(missing ? ~Key{0} : id);
    }
    if (column.max_length > 0 && static_cast<std::int64_t>(expected.size()) > column.max_length) {
      expected.resize(static_cast<std::size_t>(column.max_length));
    }
    std::erase(expected, ~Key{0});  // a missing id counts for max_length, and gives no key
    DataOptions options = label_and(column);
    options.missing = {"", "?"};
    RecordParser parser(options, "", "here:1");
    Batch batch;
    ASSERT_EQ(parser.parse("1," + cell, batch), std::nullopt) << cell;
    ASSERT_EQ(batch.ids, expected) << cell << ", at most " << column.max_length;
  }
}

TEST(TextLines, EndWithEitherLineEndOrTheText) {
  const std::string text = "a\n\nb\r\n\rc\r\r\nlast";
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const TextLine line = line_at(text, at);
    lines.emplace_back(line.text);
    ASSERT_GT(line.next, at);
    at = line.next;
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "", "b", "\rc\r", "last"}));
}

TEST(TextHeader, ColumnsAreFoundByNameWhereverTheyStand) {
  DataOptions options;
  options.header = true;
  options.quote = true;
  options.columns = {make_column("y", -1, ColumnRole::label),
                     make_column("a, b", -1, ColumnRole::dense),
                     make_column("unused", -1, ColumnRole::ignore)};
  RecordParser parser(options, "z,\"a, b\",y", "here:1");
  Batch batch;
  EXPECT_EQ(parser.parse("9,5,1", batch), std::nullopt);
  EXPECT_EQ(batch.labels[0], 1);
  EXPECT_EQ(batch.dense[0], 5);
}

TEST(TextHeader, WithAnOpenQuoteIsRefusedWithItsPlace) {
  DataOptions options;
  options.header = true;
  options.quote = true;
  options.columns = {make_column("y", -1, ColumnRole::label)};
  try {
    RecordParser(options, "y,\"x", "a.csv:1");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_EQ(error.text().find("a.csv:1: expected a closing quote on the same line: found none"),
              0u)
        << error.text();
  }
}

}  // namespace
}  // namespace keyshard
