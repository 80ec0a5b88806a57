// A restrict policy of a program: a struct with `std::uint32_t birth(std::uint32_t now) const`, the
// status of a new row, and `std::uint32_t touched(std::uint32_t status, std::uint32_t now) const`,
// the status after an optimizer step of the row; `now` is the number of the step. own_policy
// (own_rules.hpp) makes it from the struct.
#pragma once

#include <cstdint>

#include "embedding/rules/own_rule.hpp"

namespace keyshard {

/// What a program's struct is compiled to.
struct PolicyFunctions {
  const char* name;
  std::uint32_t (*birth)(const void* rule, std::uint32_t now);
  std::uint32_t (*touched)(const void* rule, std::uint32_t status, std::uint32_t now);
};

struct OwnPolicy : OwnRule<PolicyFunctions> {
  static constexpr bool kHostOnly = true;

  KEYSHARD_HD std::uint32_t birth(std::uint32_t now) const { return functions->birth(rule(), now); }

  KEYSHARD_HD std::uint32_t touched(std::uint32_t status, std::uint32_t now) const {
    return functions->touched(rule(), status, now);
  }
};

}  // namespace keyshard
