// The dense parameters of a model as one flat vector of floats with named views. The flat vector
// has no gaps; as a whole it is folded over slices, dealt to ranks, stepped by the optimizer,
// digested and saved. This file holds its layout, not its numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/portable.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// How a parameter begins: Glorot uniform has the bounds +-sqrt(6 / (rows + cols)).
enum class InitialValue { zeros, ones, glorot_uniform };

struct Parameter {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t offset = 0;  ///< in the flat vector; row-major from there
  InitialValue initial = InitialValue::zeros;

  std::int64_t size() const { return rows * cols; }

  /// Whether L2 regularization applies: to weight matrices, not to biases and scales.
  bool shrinks() const { return initial == InitialValue::glorot_uniform; }

  template <class T>
  MatrixView<T> of(T* flat) const {
    return {flat + offset, rows, cols, cols};
  }
};

class Parameters {
 public:
  /// Appends a parameter and returns its number. Names are unique.
  int add(std::string name, std::int64_t rows, std::int64_t cols, InitialValue initial);

  const Parameter& operator[](int number) const { return all_[static_cast<std::size_t>(number)]; }

  const std::vector<Parameter>& all() const noexcept { return all_; }

  /// The parameter of that name; throws Error{invalid_argument} if there is none.
  const Parameter& named(std::string_view name) const;

  /// Numbers in the flat vector.
  std::int64_t size() const noexcept { return size_; }

  /// The values before the first step [size()]: a pure function of seed, name and index.
  std::vector<float> initial_values(std::uint64_t seed) const;

 private:
  std::vector<Parameter> all_;
  std::int64_t size_ = 0;
};

}  // namespace keyshard
