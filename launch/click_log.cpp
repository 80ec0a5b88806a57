#include "launch/click_log.hpp"

#include <cstdint>

#include <fmt/format.h>

namespace keyshard {

std::string click_log_columns(const GeneratorOptions& options) {
  std::string text = "\n[[data.columns]]\nname = \"click\"\nindex = 0\nrole = \"label\"\n";
  std::int64_t index = 1;
  for (std::int64_t i = 0; i < options.dense; ++i, ++index) {
    text += fmt::format("\n[[data.columns]]\nname = \"I{}\"\nindex = {}\nrole = \"dense\"\n", i + 1,
                        index);
  }
  for (std::int64_t i = 0; i < options.features; ++i, ++index) {
    const bool ragged = i >= options.features - options.ragged;
    text += fmt::format(
        "\n[[data.columns]]\nname = \"C{}\"\nindex = {}\nrole = \"{}\"\ntype = \"integer\"\n",
        i + 1, index, ragged ? "ids" : "id");
  }
  return text;
}

}  // namespace keyshard
