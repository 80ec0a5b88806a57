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

constexpr std::int64_t kIndexVersion = 2;

SettingValue entry_of_file(const IndexedFile& file) {
  std::vector<std::int64_t> ends, records, lines;
  std::vector<std::string> contents;
  for (const TextBlock& block : file.blocks) {
    ends.push_back(block.end);
    records.push_back(block.records);
    lines.push_back(block.lines);
    contents.push_back(block.content.hex());
  }
  return value_of(SettingValue::Table{
      {"name", value_of(file.name)},
      {"bytes", value_of(file.stamp.bytes)},
      {"modified_ns", value_of(file.stamp.modified_ns)},
      {"block_bytes", value_of(file.block_bytes)},
      {"skip_lines", value_of(file.skip_lines)},
      {"begin", value_of(file.blocks.empty() ? std::int64_t{0} : file.blocks.front().begin)},
      {"ends", value_of(ends)},
      {"records", value_of(records)},
      {"lines", value_of(lines)},
      {"contents", value_of(contents)}});
}

IndexedFile file_of(const ValueReader& entry) {
  IndexedFile file;
  file.name = entry.at("name").text();
  file.stamp = {entry.at("bytes").integer(), entry.at("modified_ns").integer()};
  file.block_bytes = entry.at("block_bytes").integer();
  file.skip_lines = entry.at("skip_lines").integer();
  const std::vector<ValueReader> ends = entry.at("ends").entries();
  const auto blocks = static_cast<std::int64_t>(ends.size());
  const std::vector<ValueReader> records = entry.at("records").entries(blocks);
  const std::vector<ValueReader> lines = entry.at("lines").entries(blocks);
  const std::vector<ValueReader> contents = entry.at("contents").entries(blocks);
  std::int64_t begin = entry.at("begin").integer();
  for (std::size_t b = 0; b < ends.size(); ++b) {
    const std::int64_t end = ends[b].integer();
    file.blocks.push_back({.begin = begin,
                           .end = end,
                           .records = records[b].integer(),
                           .lines = lines[b].integer(),
                           .content = contents[b].digest()});
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
  const SettingValue all = list_of(files, entry_of_file);
  return json_text(value_of(SettingValue::Table{{"version", value_of(kIndexVersion)},
                                                {"files", all},
                                                {"digest", value_of(digest_text(all))}}));
}

std::vector<IndexedFile> parse_index(const std::string& text) {
  std::vector<IndexedFile> files;
  try {
    const SettingValue tree = parse_json(text, "index");
    const ValueReader index(tree, "index");
    const ValueReader all = index.at("files");
    if (index.at("version").integer() != kIndexVersion ||
        index.at("digest").text() != digest_text(all.value())) {
      return {};
    }
    for (const ValueReader& entry : all.entries()) {
      files.push_back(file_of(entry));
    }
  } catch (const Error&) {
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
