#include "io/index_file.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

namespace fs = std::filesystem;

using Array = SettingValue::Array;
using Object = SettingValue::Table;

constexpr std::int64_t kIndexVersion = 1;

SettingValue number(std::int64_t value) { return {value, ""}; }

SettingValue entry_of(const IndexedFile& file) {
  Array ends, records, lines;
  for (const TextBlock& block : file.blocks) {
    ends.push_back(number(block.end));
    records.push_back(number(block.records));
    lines.push_back(number(block.lines));
  }
  return {Object{{"name", {file.name, ""}},
                 {"bytes", number(file.stamp.bytes)},
                 {"modified_ns", number(file.stamp.modified_ns)},
                 {"block_bytes", number(file.block_bytes)},
                 {"skip_lines", number(file.skip_lines)},
                 {"begin", number(file.blocks.empty() ? 0 : file.blocks.front().begin)},
                 {"ends", {std::move(ends), ""}},
                 {"records", {std::move(records), ""}},
                 {"lines", {std::move(lines), ""}}},
          ""};
}

const SettingValue& member(const SettingValue& object, std::string_view key) {
  for (const auto& [name, value] : std::get<Object>(object.value)) {
    if (name == key) {
      return value;
    }
  }
  fail(Kind::corrupt_data, "expected \"{}\" in an index: found none", key);
}

std::int64_t integer(const SettingValue& value) { return std::get<std::int64_t>(value.value); }

IndexedFile file_of(const SettingValue& entry) {
  IndexedFile file;
  file.name = std::get<std::string>(member(entry, "name").value);
  file.stamp = {integer(member(entry, "bytes")), integer(member(entry, "modified_ns"))};
  file.block_bytes = integer(member(entry, "block_bytes"));
  file.skip_lines = integer(member(entry, "skip_lines"));
  const Array& ends = std::get<Array>(member(entry, "ends").value);
  const Array& records = std::get<Array>(member(entry, "records").value);
  const Array& lines = std::get<Array>(member(entry, "lines").value);
  std::int64_t begin = integer(member(entry, "begin"));
  for (std::size_t b = 0; b < ends.size(); ++b) {
    const std::int64_t end = integer(ends[b]);
    file.blocks.push_back({0, begin, end, integer(records.at(b)), integer(lines.at(b))});
    begin = end;
  }
  return file;
}

std::string digest_text(const SettingValue& files) {
  const std::string text = json_text(files);
  return digest_of(text.data(), text.size()).hex();
}

std::string path_of(const std::string& folder, Split split) {
  return fmt::format("{}/index-{}.json", folder, name_of(split));
}

}  // namespace

std::string index_name(const std::string& path, const std::string& folder) {
  return fs::absolute(path)
      .lexically_normal()
      .lexically_relative(fs::absolute(folder).lexically_normal())
      .string();
}

std::string index_text(const std::vector<IndexedFile>& files) {
  Array entries;
  for (const IndexedFile& file : files) {
    entries.push_back(entry_of(file));
  }
  const SettingValue all{std::move(entries), ""};
  return json_text(
      {Object{
           {"version", number(kIndexVersion)}, {"files", all}, {"digest", {digest_text(all), ""}}},
       ""});
}

std::vector<IndexedFile> parse_index(const std::string& text) {
  std::vector<IndexedFile> files;
  try {
    const SettingValue index = parse_json(text, "index");
    const SettingValue& all = member(index, "files");
    if (integer(member(index, "version")) != kIndexVersion ||
        std::get<std::string>(member(index, "digest").value) != digest_text(all)) {
      return {};
    }
    for (const SettingValue& entry : std::get<Array>(all.value)) {
      files.push_back(file_of(entry));
    }
  } catch (const std::exception&) {
    return {};
  }
  return files;
}

std::string read_index(const std::string& folder, Split split) {
  std::ifstream file(path_of(folder, split), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_index(const std::string& folder, Split split,
                 const std::vector<IndexedFile>& files) noexcept {
  try {
    const std::string path = path_of(folder, split);
    const std::string unfinished = fmt::format("{}.tmp-{}", path, getpid());
    std::ofstream file(unfinished, std::ios::binary);
    file << index_text(files);
    file.close();
    std::error_code error;
    if (file.good()) {
      fs::rename(unfinished, path, error);
    }
    fs::remove(unfinished, error);
  } catch (const std::exception&) {
    return;  // counted again at the next start
  }
}

}  // namespace keyshard
