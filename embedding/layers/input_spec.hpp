// What a layer takes as its input: the dtype and the shape of ids, as a Keras InputSpec says it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keyshard {

/// Extents of a tensor; a free dimension is nullopt.
using FreeShape = std::vector<std::optional<std::int64_t>>;

/// Dtype and shape of a tensor, without its numbers.
struct TensorSpec {
  std::string dtype;
  FreeShape shape;

  bool operator==(const TensorSpec&) const = default;
};

/// Restrictions of an input; what is not given is not checked.
struct InputSpec {
  std::string dtype = {};  ///< empty: any
  std::optional<std::int64_t> ndim = std::nullopt;
  std::optional<std::int64_t> min_ndim = std::nullopt;
  std::optional<std::int64_t> max_ndim = std::nullopt;
  std::optional<FreeShape> shape = std::nullopt;  ///< a free dimension here fits every extent

  bool operator==(const InputSpec&) const = default;
};

/// A shape that has no free dimension.
std::vector<std::int64_t> fixed_shape(const FreeShape& shape);

/// "[2, None]".
std::string shape_text(const FreeShape& shape);

/// Throws Error{invalid_argument} where the input of a layer does not fit: "Input 0 of layer NAME
/// is incompatible with the layer: expected ndim=2, found ndim=1. Full shape received: [2]". A free
/// dimension of the input fits every extent.
void check_input(const InputSpec& spec, const std::string& layer, const TensorSpec& input);

}  // namespace keyshard
