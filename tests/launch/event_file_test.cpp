// Files of events, taken apart by the definitions of TFRecord and protocol buffers.
#include "launch/event_file.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "launch/reporter.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

/// CRC32C bit by bit: the remainder of a division of polynomials, lowest bit first.
std::uint32_t crc_by_division(const std::string& bytes) {
  std::uint32_t rest = 0xFFFFFFFF;
  for (const unsigned char byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool top = ((rest ^ (byte >> bit)) & 1) != 0;
      rest >>= 1;
      rest ^= top ? 0x82F63B78u : 0;
    }
  }
  return rest ^ 0xFFFFFFFF;
}

std::uint32_t masked(const std::string& bytes) {
  const std::uint32_t crc = crc_by_division(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

template <class Number>
Number taken(const std::string& bytes, std::size_t& at) {
  Number number{};
  if (at + sizeof number > bytes.size()) {
    throw std::out_of_range("the bytes end early");
  }
  std::memcpy(&number, bytes.data() + at, sizeof number);
  at += sizeof number;
  return number;
}

/// The data of all records of a file; throws where a length or a CRC is wrong.
std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < file.size();) {
    const std::string head = file.substr(at, 8);
    const auto length = taken<std::uint64_t>(file, at);
    const bool head_right = taken<std::uint32_t>(file, at) == masked(head);
    records.push_back(file.substr(at, length));
    at += length;
    const bool data_right = taken<std::uint32_t>(file, at) == masked(records.back());
    if (!head_right || !data_right) {
      throw std::invalid_argument("a CRC is wrong");
    }
  }
  return records;
}

/// A message of protocol buffers: the bytes of each field, by number, in order.
std::multimap<int, std::string> fields_of(const std::string& message) {
  std::multimap<int, std::string> fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = taken<unsigned char>(message, at);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
  };
  while (at < message.size()) {
    const std::uint64_t key = varint();
    std::string content;
    if ((key & 7) == 0) {
      content = std::to_string(varint());
    } else {
      const std::size_t size = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : varint();
      content = message.substr(at, size);
      at += size;
    }
    fields.emplace(static_cast<int>(key >> 3), content);
  }
  return fields;
}

/// The numbers of an event, by tag.
std::map<std::string, float> numbers_in(const std::string& event) {
  std::map<std::string, float> numbers;
  const auto fields = fields_of(event);
  const auto values = fields_of(fields.find(5)->second);
  for (const auto& [number, value] : values) {
    const auto parts = fields_of(value);
    std::size_t at = 0;
    numbers[parts.find(1)->second] = taken<float>(parts.find(2)->second, at);
  }
  return numbers;
}

TEST(EventFile, CrcsAreThoseOfTheStandard) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);              // the check value of CRC-32C
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);    // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc_by_division("123456789"), 0xE3069283u);
}

TEST(EventFile, HoldsAnEventPerReportAtOnce) {
  const ScratchFolder folder;
  EventFile events(folder.path(""), 41);
  ASSERT_TRUE(events.add(300, "valid/", {{"auc", 0.75}, {"rmse", std::nan("")}, {"loss", 0.5}}));
  EXPECT_NE(events.name().find("tfevents"), std::string::npos);

  const auto records = records_of(folder.read(events.name()));  // while the file is open
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(fields_of(records[0]).find(3)->second, "brain.Event:2");
  const auto start = fields_of(records[1]);
  EXPECT_EQ(start.find(2)->second, "41");
  EXPECT_EQ(fields_of(start.find(7)->second).find(1)->second, "1");  // SessionLog.START
  const auto event = fields_of(records[2]);
  EXPECT_EQ(event.find(2)->second, "300");
  std::size_t at = 0;
  EXPECT_GT(taken<double>(event.find(1)->second, at), 1.6e9);  // seconds since 1970
  EXPECT_EQ(numbers_in(records[2]),
            (std::map<std::string, float>{{"valid/auc", 0.75F}, {"valid/loss", 0.5F}}));
}

TEST(EventFile, OfALaterRunSortsBehindThatOfAnEarlierOne) {
  const ScratchFolder folder;
  const EventFile first(folder.path(""), 1), second(folder.path(""), 1);
  EXPECT_LT(first.name(), second.name());
  folder.write("metrics.jsonl", "");
  remove_event_files(folder.path(""));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("")), {}), 1);
}

TEST(EventFile, ThatCannotBeMadeIsNamed) {
  try {
    EventFile("/proc/nowhere", 1);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::io);
    EXPECT_TRUE(error.text().starts_with("/proc/nowhere/events.out.tfevents.")) << error.text();
  }
}

TEST(EventFile, OfAReporterHasTheNumbersOfItsLines) {
  const ScratchFolder folder;
  Reporter reporter(0, ProgressStyle::off, folder.path(""));
  reporter.write_events(0);
  StepReport report;
  report.step = 20;
  report.loss = 0.25;
  report.rows = {{"C1", 7}};
  reporter.step(report);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path(""))) {
    const std::string name = entry.path().filename().string();
    if (name.find("tfevents") != std::string::npos) {
      const auto numbers = numbers_in(records_of(folder.read(name)).back());
      EXPECT_EQ(numbers.at("step/loss"), 0.25F);
      EXPECT_EQ(numbers.at("step/rows/C1"), 7.0F);
      EXPECT_EQ(numbers.at("step/epoch"), 1.0F);
      EXPECT_EQ(numbers.count("step/shares/read"), 1u);
    }
  }
  EXPECT_EQ(reporter.lost(), "");
  reporter.start_over();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path("")), {}), 2);
}

}  // namespace
}  // namespace keyshard
