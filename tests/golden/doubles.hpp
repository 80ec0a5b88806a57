// The golden cases of combiners and optimizers with rows of doubles: they agree with the float64
// references to about 13 digits, where rows of floats agree to 6.
#pragma once

#include "embedding/rules/optimizers.hpp"
#include "tests/golden/report.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

/// Value and gradient of a bag, where the contract is what the reference computes.
void run_double_bag(const GoldenValue& value, const GoldenValue& bag, GoldenCase& one);

/// Ten steps of an Embedding under an optimizer whose first step has number `first_step`; `file` is
/// optimizers.json.
void run_double_steps(const GoldenValue& file, const GoldenValue& value, const Optimizer& optimizer,
                      std::int64_t first_step, GoldenCase& one);

}  // namespace keyshard::testing
