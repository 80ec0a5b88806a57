// Which type rows are kept in, and which type a layer computes and answers in.
#pragma once

#include <string>
#include <vector>

#include "embedding/rows/value_dtype.hpp"

namespace keyshard {

/// A dtype policy of Keras: one type for both uses, or mixed precision.
struct DtypePolicy {
  std::string name;
  std::string variable_dtype;  ///< of stored rows
  std::string compute_dtype;   ///< of outputs and of their gradients

  bool operator==(const DtypePolicy&) const = default;
};

/// The dtype of that name. Throws Error{invalid_argument} for a name that is not built.
ValueDtype value_dtype_of(const std::string& name);

/// The names of all policies of the contract.
const std::vector<std::string>& dtype_policy_names();

/// The policy of a layer `layer` whose rows have `value_dtype`; an empty name means `value_dtype`.
/// Throws Error{invalid_argument} for an unknown name, and where the policy does not go with
/// `value_dtype`: a mixed policy needs float32, every other policy its own type.
DtypePolicy dtype_policy_of(const std::string& layer, const std::string& name,
                            const std::string& value_dtype);

}  // namespace keyshard
