// The first records of a file of text, plain or compressed, for a look at what it holds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace keyshard {

struct TextSample {
  std::string path;
  std::vector<std::string> lines;  ///< without line ends; empty lines are left out
  double records = 0;              ///< of the file: counted, or estimated by its size; 0: not known
};

/// The first lines of a file, at most so many and about 32 MiB. Throws Error{bad_input} naming file
/// and reason where it is no text or has no line.
TextSample read_sample(const std::string& path, std::int64_t most_lines = 200'000);

}  // namespace keyshard
