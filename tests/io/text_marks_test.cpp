// The vector versions of the search for separators against bytes looked at one by one, and the
// cells that come of them.
#include "io/text_marks.hpp"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/text_cells.hpp"

namespace keyshard {
namespace {

/// The versions that this processor has.
std::vector<MarkFinder> finders() {
  std::vector<MarkFinder> found;
  for (const MarkVectors vectors : {MarkVectors::none, MarkVectors::avx2, MarkVectors::avx512}) {
    if (const MarkFinder finder = mark_finder(vectors)) {
      found.push_back(finder);
    }
  }
  return found;
}

/// Text in which separators, quotes, blanks, bytes of UTF-8, NUL and line ends are as frequent as
/// `rare` says: the larger, the longer the cells.
std::string hostile_text(std::mt19937& random, std::size_t size, std::size_t rare) {
  const std::string special = {',',  ',',  ',',    '"',    '"',    ' ',    '\t',  '\r',
                               '\n', '\0', '\xC3', '\xBC', '\xFF', '\x2B', '\xAC'};
  std::string text;
  while (text.size() < size) {
    text += random() % rare == 0 ? special[random() % special.size()] : 'a';
  }
  return text;
}

TEST(TextMarks, OfEveryVersionAreTheBytesThatAreSeparators) {
  ASSERT_NE(mark_finder(MarkVectors::none), nullptr);
  std::mt19937 random(51);
  for (const MarkFinder find : finders()) {
    TextMarks marks;
    for (std::size_t size = 0; size <= kMarkPiece; size += size < 200 ? 1 : 23) {
      for (const std::size_t rare : {1, 3, 40, 4000}) {
        // Exactly as large as the text, so that a sanitizer sees a read outside it.
        const std::string text = hostile_text(random, size, rare);
        const std::unique_ptr<char[]> bytes(new char[size]);
        std::copy(text.begin(), text.end(), bytes.get());
        find({bytes.get(), size}, ',', marks);

        std::size_t n = 0;
        for (std::size_t i = 0; i < size; ++i) {
          if (text[i] == ',') {
            ASSERT_LT(n, marks.separators) << size;
            ASSERT_EQ(marks.at[n++], i) << size;
          }
        }
        ASSERT_EQ(marks.separators, n) << size;
        ASSERT_EQ(marks.quotes, text.find('"') != std::string::npos) << size;
      }
    }
  }
}

TEST(TextMarks, DoNotSeeWhatStandsBeforeAndBehindThePiece) {
  const std::string text(3 * kMarkPiece, ',');
  const std::string quotes(3 * kMarkPiece, '"');
  TextMarks marks;
  for (const MarkFinder find : finders()) {
    for (std::size_t size = 0; size <= kMarkPiece; ++size) {
      find(std::string_view(text).substr(kMarkPiece, size), ',', marks);
      ASSERT_EQ(marks.separators, size);
      ASSERT_FALSE(marks.quotes);
      find(std::string_view(quotes).substr(kMarkPiece, size), ',', marks);
      ASSERT_EQ(marks.separators, 0u);
      ASSERT_EQ(marks.quotes, size > 0);
    }
  }
}

TEST(TextMarks, OfManyPiecesCutALineAtEverySeparator) {
  std::mt19937 random(52);
  DataOptions options;
  options.separator = ",";
  for (const MarkFinder find : finders()) {
    CellSplitter splitter(options, find);
    for (int round = 0; round < 400; ++round) {
      const std::string line =
          hostile_text(random, random() % (4 * kMarkPiece), 1 + random() % 300);
      ASSERT_EQ(splitter.split(line), nullptr);
      std::vector<std::string_view> cells{std::string_view(line).substr(0, 0)};
      for (std::size_t i = 0, begin = 0; i <= line.size(); ++i) {
        if (i == line.size() || line[i] == ',') {
          cells.back() = std::string_view(line).substr(begin, i - begin);
          begin = i + 1;
          cells.emplace_back();
        }
      }
      cells.pop_back();
      ASSERT_EQ(splitter.cells(), cells);
    }
  }
}

TEST(TextMarks, OfEveryVersionLeaveQuotedLinesAsThePlainOneReadsThem) {
  std::mt19937 random(53);
  for (int setting = 0; setting < 2; ++setting) {
    DataOptions options;
    options.separator = ",";
    options.quote = true;
    options.trim = setting == 1;
    CellSplitter plain(options, mark_finder(MarkVectors::none));
    for (const MarkFinder find : finders()) {
      CellSplitter splitter(options, find);
      for (int round = 0; round < 2000; ++round) {
        const std::string line =
            hostile_text(random, random() % (2 * kMarkPiece), 1 + random() % 900);
        const char* const problem = plain.split(line);
        ASSERT_STREQ(splitter.split(line), problem);
        if (problem == nullptr) {
          ASSERT_EQ(splitter.cells(), plain.cells());
        }
      }
    }
  }
}

TEST(TextMarks, AQuoteBehindTheFirstPieceIsSeen) {
  DataOptions options;
  options.separator = ",";
  options.quote = true;
  const std::string before(2 * kMarkPiece, 'x');
  const std::string line = before + ",\"a,b\",c";
  for (const MarkFinder find : finders()) {
    CellSplitter splitter(options, find);
    ASSERT_EQ(splitter.split(line), nullptr);
    EXPECT_EQ(splitter.cells(), (std::vector<std::string_view>{before, "a,b", "c"}));
  }
}

}  // namespace
}  // namespace keyshard
