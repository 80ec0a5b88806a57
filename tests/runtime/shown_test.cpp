// Bytes in messages: one short line that steers no terminal.
#include "runtime/shown.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

using namespace std::string_literals;

TEST(Shown, LeavesTextAsItIs) {
  for (const char* text : {"", "a b,c", "\"quoted\"", "\xC3\xA4\xE7\x94\xA8\xF0\x9F\x98\x80"}) {
    EXPECT_EQ(shown(text), text);
  }
}

TEST(Shown, EscapesWhatIsNoCharacterOrSteers) {
  EXPECT_EQ(shown("\x1b[2J\x07\n\r\t\x7f"), "\\x1b[2J\\x07\\x0a\\x0d\\x09\\x7f");
  EXPECT_EQ(shown("a\0b"s), "a\\x00b");
  EXPECT_EQ(shown("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(shown("\xc0\x80"), "\\xc0\\x80") << "an overlong NUL";
  EXPECT_EQ(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
  EXPECT_EQ(shown("\xc2\x9b"), "\\xc2\\x9b") << "a control character of 8 bits";
  EXPECT_EQ(shown("\xe2\x80\xae"), "\\xe2\\x80\\xae") << "text from right to left";
}

TEST(Printable, IsTheSameAndIsNotCut) {
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable("\xC3\xA4\x1b\xff"), "\xC3\xA4\\x1b\\xff");
  EXPECT_EQ(printable(std::string(200, 'a') + '\n'), std::string(200, 'a') + "\\x0a");
}

TEST(Shown, HasAtMostAHundredCharacters) {
  EXPECT_EQ(shown(std::string(100, 'a')), std::string(100, 'a'));
  EXPECT_EQ(shown(std::string(101, 'a')), std::string(97, 'a') + "...");
  EXPECT_EQ(shown(std::string(2'000'000, '\x01')).size(), 4u * 24 + 3);
  std::string wide;
  for (int i = 0; i < 101; ++i) {
    wide += "\xC3\xA4";
  }
  EXPECT_EQ(shown(wide), wide.substr(0, 2 * 97) + "...");
}

}  // namespace
}  // namespace keyshard
