// Which functions of outputs a layer takes as its regularizer and for its losses.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "embedding/layers/activity_options.hpp"
#include "embedding/layers/layer.hpp"
#include "embedding/layers/user_functions.hpp"
#include "embedding/rows/value_dtype.hpp"
#include "runtime/error.hpp"

namespace keyshard {

/// The function of an option: one that is built in, or a registered one.
template <Backend B>
std::shared_ptr<const OutputFunction<B>> make_regularizer(
    const std::optional<ActivityOptions>& options, const UserFunctions<B>& functions) {
  if (!options) {
    return nullptr;
  }
  return std::make_shared<const OutputFunction<B>>(
      options->function.empty()
          ? output_function<B>("l1_l2", L1L2{options->l1, options->l2})
          : registered(functions.output_functions, options->function, "an activity_regularizer"));
}

/// Throws where a layer of this name and value_dtype has outputs that the function does not take.
template <Backend B>
void require_takes(const std::string& layer, const std::string& value_dtype,
                   const OutputFunction<B>& function) {
  require(static_cast<bool>(function), Kind::invalid_argument,
          "layer {}: expected a function of outputs with values and gradients: found none", layer);
  require(value_dtype != "float64" || function.takes_doubles(), Kind::invalid_argument,
          "layer {}: expected a function of outputs of float64, with double value(double) const "
          "and double derivative(double) const: found one of floats",
          layer);
  require(!is_integer(value_dtype_of(value_dtype)), Kind::invalid_argument,
          "layer {}: expected no function of outputs of integers, which have no gradient: found "
          "one and value_dtype {}",
          layer, value_dtype);
}

/// The checked function of an option; null where there is none.
template <Backend B>
std::shared_ptr<const OutputFunction<B>> checked_regularizer(const LayerOptions& options,
                                                             const UserFunctions<B>& functions) {
  auto regularizer = make_regularizer(options.activity_regularizer, functions);
  if (regularizer != nullptr) {
    require_takes(options.name, options.value_dtype, *regularizer);
  }
  return regularizer;
}

}  // namespace keyshard
