#include "embedding/rules/policies.hpp"

#include "embedding/rules/own_rules.hpp"

namespace keyshard {
namespace {

const FamilyNames& policies() {
  static const FamilyNames kFamily{"a restrict policy", names_of_rules<BuiltInPolicy>()};
  return kFamily;
}

/// The registered policies of a program follow those that are built in.
RestrictPolicy policy_at(std::size_t index, const OwnRules& own) {
  constexpr std::size_t kBuiltIn = std::variant_size_v<BuiltInPolicy>;
  if (index >= kBuiltIn) {
    return own.policies[index - kBuiltIn];
  }
  RestrictPolicy result;
  with_alternative<BuiltInPolicy>(index, [&](auto policy) { result = policy; });
  return result;
}

}  // namespace

RestrictPolicy policy_of(const std::string& name, const OwnRules& own) {
  return policy_at(policies().with(own_names(own.policies)).at(name), own);
}

const char* name_of(const RestrictPolicy& policy) {
  return visit_variant(policy, [](const auto& rule) { return rule_name(rule); });
}

RestrictPolicy read_policy(Settings& settings, const char* key, const RestrictPolicy& otherwise,
                           const OwnRules& own) {
  const std::optional<std::size_t> index =
      policies().with(own_names(own.policies)).read(settings, key, name_of(otherwise));
  return index ? policy_at(*index, own) : otherwise;
}

}  // namespace keyshard
