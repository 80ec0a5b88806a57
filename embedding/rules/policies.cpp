#include "embedding/rules/policies.hpp"

#include "embedding/rules/family.hpp"

namespace keyshard {
namespace {

const FamilyNames& policies() {
  static const FamilyNames kFamily{"a restrict policy", names_of_rules<RestrictPolicy>(), {}};
  return kFamily;
}

RestrictPolicy policy_at(std::size_t index) {
  RestrictPolicy result;
  with_alternative<RestrictPolicy>(index, [&](auto policy) { result = policy; });
  return result;
}

}  // namespace

RestrictPolicy policy_of(const std::string& name) { return policy_at(policies().at(name)); }

const char* name_of(const RestrictPolicy& policy) {
  return visit_variant(policy, [](auto rule) { return decltype(rule)::kName; });
}

RestrictPolicy read_policy(Settings& settings, const char* key, const RestrictPolicy& otherwise) {
  const std::optional<std::size_t> index = policies().read(settings, key, name_of(otherwise));
  return index ? policy_at(*index) : otherwise;
}

}  // namespace keyshard
