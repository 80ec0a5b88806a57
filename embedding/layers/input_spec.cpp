#include "embedding/layers/input_spec.hpp"

#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

bool fits(const FreeShape& wanted, const FreeShape& found) {
  bool same = wanted.size() == found.size();
  for (std::size_t axis = 0; same && axis < wanted.size(); ++axis) {
    same = !wanted[axis] || !found[axis] || *wanted[axis] == *found[axis];
  }
  return same;
}

}  // namespace

std::vector<std::int64_t> fixed_shape(const FreeShape& shape) {
  std::vector<std::int64_t> fixed;
  for (const std::optional<std::int64_t>& extent : shape) {
    fixed.push_back(extent.value());
  }
  return fixed;
}

std::string shape_text(const FreeShape& shape) {
  std::vector<std::string> extents;
  for (const std::optional<std::int64_t>& extent : shape) {
    extents.push_back(extent ? fmt::format("{}", *extent) : "None");
  }
  return fmt::format("[{}]", joined(extents, ", "));
}

void check_input(const InputSpec& spec, const std::string& layer, const TensorSpec& input) {
  const auto expect = [&](bool fine, const std::string& expected, const std::string& found) {
    require(fine, Kind::invalid_argument,
            "Input 0 of layer {} is incompatible with the layer: expected {}, found {}. Full shape "
            "received: {}",
            layer, expected, found, shape_text(input.shape));
  };
  const auto ndim = static_cast<std::int64_t>(input.shape.size());
  const std::string found = fmt::format("ndim={}", ndim);
  expect(!spec.ndim || ndim == *spec.ndim, fmt::format("ndim={}", spec.ndim.value_or(0)), found);
  expect(!spec.max_ndim || ndim <= *spec.max_ndim,
         fmt::format("max_ndim={}", spec.max_ndim.value_or(0)), found);
  expect(!spec.min_ndim || ndim >= *spec.min_ndim,
         fmt::format("min_ndim={}", spec.min_ndim.value_or(0)), found);
  expect(spec.dtype.empty() || spec.dtype == input.dtype, "dtype=" + spec.dtype,
         "dtype=" + input.dtype);
  if (spec.shape) {
    expect(fits(*spec.shape, input.shape), "shape=" + shape_text(*spec.shape),
           "shape=" + shape_text(input.shape));
  }
}

}  // namespace keyshard
