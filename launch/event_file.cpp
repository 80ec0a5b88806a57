#include "launch/event_file.hpp"

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::string_view kPrefix = "events.out.tfevents.";  // TensorBoard looks for "tfevents"
constexpr std::string_view kSuffix = ".keyshard";

/// The CRCs of single bytes, for the reflected polynomial.
constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    }
    table[byte] = crc;
  }
  return table;
}

/// TFRecord masks its CRCs, for a CRC of bytes that hold CRCs is a weak one.
std::uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

/// The bytes of a number, the lowest first.
template <class Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    bytes.push_back(static_cast<char>(number >> (8 * i) & 0xFF));
  }
  return bytes;
}

// Fields of protocol buffers: a key of number and wire type, and the content.

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value > 0x7F; value >>= 7) {
    bytes.push_back(static_cast<char>((value & 0x7F) | 0x80));
  }
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string key_of(int number, int wire_type) {
  return varint(static_cast<std::uint64_t>(number << 3 | wire_type));
}

std::string integer_field(int number, std::int64_t value) {
  return key_of(number, 0) + varint(static_cast<std::uint64_t>(value));
}

std::string double_field(int number, double value) {
  return key_of(number, 1) + little_endian(std::bit_cast<std::uint64_t>(value));
}

std::string bytes_field(int number, const std::string& bytes) {
  return key_of(number, 2) + varint(bytes.size()) + bytes;
}

std::string float_field(int number, float value) {
  return key_of(number, 5) + little_endian(std::bit_cast<std::uint32_t>(value));
}

/// Event.wall_time and Event.step.
std::string event_at(std::int64_t step) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return double_field(1, now.count()) + integer_field(2, step);
}

/// The name of a new file: microseconds since 1970, in as many digits until the year 2286.
std::string new_name() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  return fmt::format("{}{:010}.{:06}{}", kPrefix, now / 1'000'000, now % 1'000'000, kSuffix);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = crc_table();
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return ~crc;
}

EventFile::EventFile(const std::string& folder, std::int64_t next_step) : name_(new_name()) {
  const std::string path = folder + "/" + name_;
  file_ = std::fopen(path.c_str(), "wbxe");
  require(file_ != nullptr, Kind::io, "{}: cannot be made: {}", path, std::strerror(errno));
  // Event.file_version, which must come first; then Event.session_log with SessionLog.status START.
  const bool whole = write(event_at(0) + bytes_field(3, "brain.Event:2")) &&
                     write(event_at(next_step) + bytes_field(7, integer_field(1, 1)));
  if (!whole) {
    const std::string reason = std::strerror(errno);
    std::fclose(file_);
    fail(Kind::io, "{}: cannot be written: {}", path, reason);
  }
}

EventFile::~EventFile() { std::fclose(file_); }

bool EventFile::write(const std::string& event) {
  const std::string length = little_endian(static_cast<std::uint64_t>(event.size()));
  const std::string record =
      length + little_endian(masked_crc(length)) + event + little_endian(masked_crc(event));
  const bool whole = std::fwrite(record.data(), 1, record.size(), file_) == record.size();
  const bool flushed = std::fflush(file_) == 0;
  std::clearerr(file_);
  return whole && flushed;
}

bool EventFile::add(std::int64_t step, const std::string& prefix,
                    const std::vector<std::pair<std::string, double>>& numbers) {
  std::string summary;  // Summary.value: tag, simple_value
  for (const auto& [name, value] : numbers) {
    if (!std::isnan(value)) {
      summary +=
          bytes_field(1, bytes_field(1, prefix + name) + float_field(2, static_cast<float>(value)));
    }
  }
  return write(event_at(step) + bytes_field(5, summary));  // Event.summary
}

void remove_event_files(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) {
      std::filesystem::remove(entry->path(), error);
    }
  }
  require(!error, Kind::io, "{}: cannot remove the event files of an earlier job: {}", folder,
          error.message());
}

}  // namespace keyshard
