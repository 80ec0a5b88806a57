// A rule of a program: a small struct that stands beside the built-in rules of its family. The
// alternative of the family keeps the bytes of the struct and a table of functions, which are
// compiled from the struct where the program names it (own_rules.hpp); so a family costs nothing
// more to compile or to run for those who bring no rule along. A row, bag or key of such a rule
// costs a call through a pointer. These are functions of the host: a table on a device refuses
// them.
#pragma once

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

struct OwnRules;

/// A registry without rules.
const OwnRules& no_own_rules();

/// What the rules of programs of all families share. `Functions` has the name of the rule, "" where
/// the struct has no kName: such a rule works, but no configuration can name it.
template <class Functions>
struct OwnRule {
  static constexpr std::size_t kMostBytes = 64;

  const Functions* functions = nullptr;
  alignas(8) std::byte bytes[kMostBytes] = {};

  const char* name() const { return functions->name; }

  KEYSHARD_HD const void* rule() const { return bytes; }
};

/// The name that a program's struct gives itself, "" where it gives none.
template <class Rule>
constexpr const char* own_name() {
  if constexpr (requires { Rule::kName; }) {
    return Rule::kName;
  } else {
    return "";
  }
}

/// The rule as its struct, in functions that are compiled from the struct.
template <class Rule>
const Rule& rule_as(const void* rule) {
  return *static_cast<const Rule*>(rule);
}

/// Makes the alternative of a family from a struct of a program and the functions of the struct.
template <class Own, class Rule, class Functions>
Own make_own(const Rule& rule, const Functions& functions) {
  static_assert(
      std::is_trivially_copyable_v<Rule> && alignof(Rule) <= 8 && sizeof(Rule) <= Own::kMostBytes,
      "the struct of a rule is trivially copyable and has at most 64 bytes");
  Own own;
  own.functions = &functions;
  std::memcpy(own.bytes, &rule, sizeof(Rule));
  return own;
}

/// The name of a rule, for messages and for the names of columns.
template <class Rule>
const char* rule_name(const Rule& rule) {
  if constexpr (requires { rule.functions; }) {
    return *rule.name() == '\0' ? "unregistered" : rule.name();
  } else {
    return Rule::kName;
  }
}

/// What an option says of a rule: a name, or the rule of a program itself.
template <class Own>
struct RuleChoice {
  std::string name;  ///< of a built-in or registered rule; with `own` the name of that, or empty
  std::optional<Own> own;

  RuleChoice() = default;

  RuleChoice(const char* of_rule) : name(of_rule) {}

  RuleChoice(std::string of_rule) : name(std::move(of_rule)) {}

  RuleChoice(const Own& rule) : name(rule.name()), own(rule) {}

  /// Whether the option says anything.
  bool empty() const { return name.empty() && !own; }

  /// The choice itself, or the rule that its name has turned out to be where that is one of the
  /// program.
  template <class Family>
  RuleChoice or_own(const Family& found) const {
    const auto* rule = std::get_if<Own>(&found);
    return rule == nullptr ? *this : RuleChoice(*rule);
  }

  bool operator==(std::string_view other) const { return name == other; }
};

/// The names of the registered rules of one family.
template <class Own>
std::vector<std::string> own_names(const std::vector<Own>& rules) {
  std::vector<std::string> names;
  for (const Own& rule : rules) {
    names.emplace_back(rule.name());
  }
  return names;
}

}  // namespace keyshard
