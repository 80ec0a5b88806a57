// Blocks of text against a plain reading of the whole file: every record once, in the block that
// holds its first byte, with the number of its line, wherever blocks are cut.
#include "io/text_index.hpp"

#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;
using testing::ScratchFolder;

/// A record as it stands in a file.
struct Record {
  std::string text;
  std::int64_t begin;  ///< its first byte
  std::int64_t line;   ///< from 1
};

/// The records of a text after `skipped` lines, character by character.
std::vector<Record> slow_records(const std::string& text, std::int64_t skipped) {
  std::vector<Record> records;
  std::string line;
  std::int64_t number = 1, begin = 0;
  const auto end_line = [&](std::int64_t next) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    if (!line.empty() && number > skipped) {
      records.push_back({line, begin, number});
    }
    line.clear();
    begin = next;
    ++number;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') {
      end_line(static_cast<std::int64_t>(i) + 1);
    } else {
      line += text[i];
    }
  }
  end_line(static_cast<std::int64_t>(text.size()));
  return records;
}

/// Lines of 0 to 12 letters with either line end; the last one may have none.
std::string random_text(std::mt19937& random) {
  std::string text;
  const std::uint64_t lines = 1 + random() % 40;
  for (std::uint64_t i = 0; i < lines; ++i) {
    text += std::string(random() % 3 == 0 ? 0 : random() % 13, static_cast<char>('a' + i % 26));
    text += random() % 4 == 0 ? "\r\n" : "\n";
  }
  text += random() % 2 == 0 ? "" : "last";
  return text;
}

std::vector<TextFile> files_of(const std::vector<std::string>& texts) {
  std::vector<TextFile> files;
  for (std::size_t f = 0; f < texts.size(); ++f) {
    const std::string name = "file-" + std::to_string(f);
    files.push_back(
        {name, {static_cast<std::int64_t>(texts[f].size()), -1}, memory_source(name, texts[f])});
  }
  return files;
}

TextIndex index_of(const std::vector<std::string>& texts, const DataOptions& options,
                   int ranks = 1) {
  TextIndex index;
  run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const TextIndex own =
        make_text_index(communicator, stream, options, Split::train, files_of(texts));
    if (communicator.rank() == ranks - 1) {
      index = own;
    }
  });
  return index;
}

DataOptions cut_into(std::int64_t block_bytes, std::int64_t skip_lines = 0, bool header = false) {
  DataOptions options;
  options.block_bytes = block_bytes;
  options.skip_lines = skip_lines;
  options.header = header;
  return options;
}

/// Expects that each block of a text has the records that begin in it.
void expect_blocks(const std::string& text, std::int64_t skipped, const TextIndex& index) {
  const std::vector<Record> expected = slow_records(text, skipped);
  const auto source = memory_source("text", text);
  ASSERT_EQ(index.records, static_cast<std::int64_t>(expected.size()));
  std::size_t next = 0;
  for (std::size_t b = 0; b < index.blocks.size(); ++b) {
    const TextBlock& block = index.blocks[b];
    ASSERT_EQ(index.first_records[b], static_cast<std::int64_t>(next));
    TextRecords found;
    read_block(*source, block, index.first_lines[b], found);
    ASSERT_EQ(static_cast<std::int64_t>(found.records.size()), block.records);
    for (std::size_t i = 0; i < found.records.size(); ++i, ++next) {
      ASSERT_EQ(found.records[i], expected[next].text);
      ASSERT_EQ(found.lines[i], expected[next].line);
      ASSERT_TRUE(block.begin <= expected[next].begin && expected[next].begin < block.end);
    }
  }
  ASSERT_EQ(next, expected.size());
}

TEST(TextIndex, HasEveryRecordInTheBlockOfItsFirstByte) {
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const std::string text = random_text(random) + "\nx\n";
    const std::int64_t block_bytes = 1 + random() % 30;
    expect_blocks(text, 0, index_of({text}, cut_into(block_bytes)));
    if (::testing::Test::HasFatalFailure()) {
      return;
    }
  }
}

TEST(TextIndex, BeginsAfterTheSkippedLinesAndTheHeader) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const std::int64_t skipped = random() % 3;
    const std::string text = "note\n\nname,x\r\nhead,y\n" + random_text(random) + "\nx\n";
    const TextIndex index = index_of({text}, cut_into(1 + random() % 30, skipped, true));
    expect_blocks(text, skipped + 1, index);
    ASSERT_EQ(index.starts[0].header_line, skipped + 1);
    ASSERT_EQ(index.starts[0].line, skipped + 2);
    ASSERT_EQ(index.starts[0].header, skipped == 0 ? "note" : skipped == 1 ? "" : "name,x");
  }
}

TEST(TextIndex, IsTheSameOnAnyNumberOfRanks) {
  std::mt19937 random(5);
  const std::vector<std::string> texts{random_text(random) + "\na", random_text(random) + "\nb",
                                       "one\n"};
  const TextIndex expected = index_of(texts, cut_into(7));
  for (const int ranks : {2, 3}) {
    const TextIndex found = index_of(texts, cut_into(7), ranks);
    EXPECT_EQ(found.digest(), expected.digest());
    EXPECT_EQ(found.block_records, expected.block_records);
    EXPECT_EQ(found.first_lines, expected.first_lines);
    EXPECT_EQ(found.first_records, expected.first_records);
  }
}

TEST(TextIndex, NumbersBlocksOfSeveralFilesOneAfterAnother) {
  // Blocks of four bytes: "ab\ncd\n" has two, with the records ab and cd; "e\n" one.
  const TextIndex index = index_of({"ab\ncd\n", "e\n"}, cut_into(4));

  ASSERT_EQ(index.blocks.size(), 3u);
  EXPECT_EQ(index.block_records, (std::vector<std::int64_t>{2, 0, 1}));
  EXPECT_EQ(index.first_records, (std::vector<std::int64_t>{0, 2, 2}));
  EXPECT_EQ(index.first_lines, (std::vector<std::int64_t>{1, 3, 1}));
  EXPECT_EQ(index.blocks[2].file, 1);
  EXPECT_EQ(index.records, 3);
}

TEST(TextIndex, DigestIsOfSizesAndCountsWithoutNames) {
  const TextIndex index = index_of({"ab\ncd\n"}, cut_into(4));
  std::vector<TextFile> renamed = files_of({"xy\nzw\n"});
  renamed[0].path = "elsewhere";
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    EXPECT_EQ(make_text_index(communicator, stream, cut_into(4), Split::train, renamed).digest(),
              index.digest());
  });
  EXPECT_NE(index_of({"ab\ncd\n"}, cut_into(3)).digest(), index.digest());
  EXPECT_NE(index_of({"abc\nd\n"}, cut_into(4)).digest(), index.digest());
}

TEST(TextIndex, ContentDigestNoticesEveryByte) {
  const std::string text = "ab\ncd\n";
  const Digest128 content = index_of({text}, cut_into(4)).content_digest();
  EXPECT_EQ(index_of({text}, cut_into(4)).content_digest(), content);
  for (const std::size_t i : {0, 1, 3, 4}) {
    std::string other = text;
    other[i] = 'x';
    EXPECT_NE(index_of({other}, cut_into(4)).content_digest(), content) << i;
  }
}

TEST(TextBlock, WithOtherContentThanWasCountedIsRefused) {
  const TextIndex index = index_of({"ab\ncd\n"}, cut_into(4));
  const auto changed = memory_source("data.csv", "ab\ncx\n");
  TextRecords records;
  try {
    read_block(*changed, index.blocks[0], 1, records);
    FAIL() << "another content was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::bad_input);
    EXPECT_NE(std::string(error.what())
                  .find("expected the 2 records from byte 0 to 4 as they were "
                        "counted: found others"),
              std::string::npos)
        << error.what();
  }
}

TEST(TextIndex, AFileWithoutRandomAccessIsOneBlock) {
  const ScratchFolder folder;
  const std::string text = "head\na\n\nb\r\nc";
  std::vector<TextFile> files(1);
  files[0].path = folder.write("plain.csv", text);
  files[0].stamp = {static_cast<std::int64_t>(text.size()), -1};
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const TextIndex index =
        make_text_index(communicator, stream, cut_into(4, 0, true), Split::train, files);
    ASSERT_EQ(index.blocks.size(), 1u);
    EXPECT_EQ(index.blocks[0].records, 3);
    EXPECT_EQ(index.starts[0].header, "head");
    EXPECT_EQ(index.records, 3);
  });
}

TEST(TextIndex, SkipsFilesWithoutRecordsAndCountsThem) {
  for (const char* empty : {"", "\n\r\n\n", "head", "head\n", "head\n\n"}) {
    DataOptions options = cut_into(4, 0, true);
    options.train = {"file-0", "file-1", "file-2"};
    const TextIndex index = index_of({empty, "head\na\n", "head\nb"}, options);
    EXPECT_EQ(index.records, 2);
    EXPECT_TRUE(index.starts[0].empty);
    EXPECT_FALSE(index.starts[1].empty || index.starts[2].empty);
    EXPECT_EQ(index.note(options, Split::train)
                  .find("data.train: 1 of 3 files have no records and are skipped: file-0"),
              0u)
        << index.note(options, Split::train);
  }
}

TEST(TextIndex, OfFilesThatAllHaveNoRecordsIsRefused) {
  for (const char* empty : {"", "\n\r\n\n", "head"}) {
    try {
      index_of({empty, empty}, cut_into(4, 0, true));
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::bad_input);
      EXPECT_EQ(error.text().find("file-0: expected records: found none"), 0u) << error.text();
    }
  }
}

TEST(TextIndex, KeepsTheFirstRecordOfAFileWithoutAHeader) {
  const std::string longer(100'000, 'x');
  const TextIndex index =
      index_of({"note\n\n\na,b\nc,d\n", "note\n" + longer + "\nend\n"}, cut_into(64, 1));
  EXPECT_EQ(index.starts[0].first_record, "a,b");
  EXPECT_EQ(index.starts[0].first_record_line, 4);
  EXPECT_EQ(index.starts[0].offset, 5);
  EXPECT_EQ(index.starts[1].first_record, longer);
  EXPECT_EQ(index.starts[1].first_record_line, 2);
}

TEST(TextIndex, FindsAHeaderThatIsLongerThanWhatIsReadAtOnce) {
  const std::string header(300'000, 'h');
  const TextIndex index = index_of({"skipped\n" + header + "\na\nb\n"}, cut_into(64, 1, true));

  EXPECT_EQ(index.starts[0].header, header);
  EXPECT_EQ(index.starts[0].offset, 8 + 300'001);
  EXPECT_EQ(index.records, 2);
}

TextBlock block_of(std::int64_t begin, std::int64_t end, std::int64_t records,
                   const std::string& content) {
  return {.begin = begin,
          .end = end,
          .records = records,
          .content = digest_of(content.data(), content.size())};
}

TEST(ReadBlock, ReplacesWhatWasThereBefore) {
  const auto source = memory_source("text", "ab\ncd\n");
  TextRecords records;
  read_block(*source, block_of(0, 6, 2, "ab\ncd\n"), 1, records);
  read_block(*source, block_of(3, 6, 1, "cd\n"), 2, records);

  ASSERT_EQ(records.records.size(), 1u);
  EXPECT_EQ(records.records[0], "cd");
  EXPECT_EQ(records.lines, std::vector<std::int64_t>{2});
}

TEST(ReadBlock, OfBytesInsideOneLongRecordHasNone) {
  const std::string line = std::string(100'000, 'x') + "\n";
  const auto source = memory_source("text", line + "y\n");
  TextRecords records;
  read_block(*source, block_of(10, 500, 0, ""), 1, records);
  EXPECT_TRUE(records.records.empty());

  read_block(*source, block_of(0, 10, 1, line), 1, records);
  ASSERT_EQ(records.records.size(), 1u);
  EXPECT_EQ(records.records[0].size(), 100'000u);
}

}  // namespace
}  // namespace keyshard
