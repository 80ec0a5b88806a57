#include "launch/training/models/parameters.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/random.hpp"

namespace keyshard {
namespace {

void glorot_uniform(const Parameter& parameter, std::uint64_t seed, float* values) {
  const std::uint64_t key = hash_bytes(parameter.name, seed);
  const double bound = std::sqrt(6.0 / static_cast<double>(parameter.rows + parameter.cols));
  const float scale = static_cast<float>(bound);
  for (std::int64_t i = 0; i < parameter.size(); ++i) {
    const Random4 random = philox(key, static_cast<std::uint64_t>(i), 0);
    values[i] = scale * (2.0f * unit_float(random.word[0]) - 1.0f);
  }
}

}  // namespace

int Parameters::add(std::string name, std::int64_t rows, std::int64_t cols, InitialValue initial) {
  for (const Parameter& other : all_) {
    require(other.name != name, Kind::invalid_argument,
            "expected a new parameter: found \"{}\" twice", name);
  }
  all_.push_back({std::move(name), rows, cols, size_, initial});
  size_ += rows * cols;
  return static_cast<int>(all_.size()) - 1;
}

const Parameter& Parameters::named(std::string_view name) const {
  for (const Parameter& parameter : all_) {
    if (parameter.name == name) {
      return parameter;
    }
  }
  fail(Kind::invalid_argument, "expected a parameter of the model: found \"{}\"", name);
}

std::vector<float> Parameters::initial_values(std::uint64_t seed) const {
  std::vector<float> values(static_cast<std::size_t>(size_), 0.0f);
  for (const Parameter& parameter : all_) {
    float* first = values.data() + parameter.offset;
    if (parameter.initial == InitialValue::ones) {
      std::fill_n(first, parameter.size(), 1.0f);
    } else if (parameter.initial == InitialValue::glorot_uniform) {
      glorot_uniform(parameter, seed, first);
    }
  }
  return values;
}

}  // namespace keyshard
