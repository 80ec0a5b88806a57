#include "launch/init/text_sample.hpp"

#include <filesystem>

#include "io/archive_file.hpp"
#include "io/text_stream.hpp"
#include "runtime/error.hpp"

namespace keyshard {

TextSample read_sample(const std::string& path, std::int64_t most_lines) {
  constexpr std::int64_t kMostBytes = std::int64_t{32} << 20;
  const TextFile file{path, {}, nullptr};
  TextSample sample;
  sample.path = path;
  TextStream stream({&file, 1}, 0, false);
  std::int64_t bytes = 0;
  std::string_view text;
  TextPlace place;
  bool whole = true;
  while (stream.next(text, place)) {
    if (std::ssize(sample.lines) == most_lines || bytes > kMostBytes) {
      whole = false;
      break;
    }
    sample.lines.emplace_back(text);
    bytes += std::ssize(text) + 1;
  }
  require(!sample.lines.empty(), Kind::bad_input, "{}: expected records: found none", path);
  sample.records = static_cast<double>(sample.lines.size());
  if (!whole) {
    const double of_file =
        is_archive(path) ? 0 : static_cast<double>(std::filesystem::file_size(path));
    sample.records *= of_file / static_cast<double>(bytes);
  }
  return sample;
}

}  // namespace keyshard
