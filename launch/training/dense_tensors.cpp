#include "launch/training/dense_tensors.hpp"

#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr const char* kMember = "dense";

SettingValue tensors_of(const Parameters& parameters) {
  SettingValue::Array tensors;
  for (const Parameter& parameter : parameters.all()) {
    tensors.push_back(value_of(SettingValue::Table{
        {"name", value_of(parameter.name)},
        {"offset", value_of(parameter.offset)},
        {"shape", value_of(std::vector<std::int64_t>{parameter.rows, parameter.cols})}}));
  }
  return value_of(std::move(tensors));
}

/// "W1 [8, 4], b1 [1, 4]".
std::string text_of(const ValueReader& tensors) {
  std::string text;
  for (const ValueReader& tensor : tensors.entries()) {
    const std::vector<ValueReader> shape = tensor.at("shape").entries(2);
    text += fmt::format("{}{} [{}, {}]", text.empty() ? "" : ", ", tensor.at("name").text(),
                        shape[0].integer(), shape[1].integer());
  }
  return text;
}

}  // namespace

SettingValue dense_tensors_tree(const Parameters& weights, const Parameters& statistics) {
  return value_of(SettingValue::Table{{"weights", tensors_of(weights)},
                                      {"statistics", tensors_of(statistics)}});
}

void check_dense_tensors(const std::string& path, const SettingValue& state,
                         const Parameters& weights, const Parameters& statistics) {
  if (member_of(state, kMember) == nullptr) {
    return;
  }
  const SettingValue own = dense_tensors_tree(weights, statistics);
  const ValueReader saved = ValueReader(state, path).at(kMember);
  for (const char* dataset : {"weights", "statistics"}) {
    const std::string expected = text_of(ValueReader(own, path).at(dataset));
    const std::string found = text_of(saved.at(dataset));
    require(found == expected, Kind::corrupt_data, "{}: expected the dense {} {}: found {}", path,
            dataset, expected.empty() ? "none" : expected, found.empty() ? "none" : found);
  }
}

std::string dense_tensors_text(const SettingValue& state) {
  std::string text;
  if (member_of(state, kMember) != nullptr) {
    const ValueReader saved = ValueReader(state, "manifest.json").at(kMember);
    for (const char* dataset : {"weights", "statistics"}) {
      const std::string tensors = text_of(saved.at(dataset));
      text += tensors.empty() ? "" : fmt::format("dense {}: {}\n", dataset, tensors);
    }
  }
  return text;
}

}  // namespace keyshard
