#include "embedding/rules/partitioners.hpp"

#include "embedding/rules/own_rules.hpp"
#include "runtime/digest.hpp"

namespace keyshard {
namespace {

const FamilyNames& partitioners() {
  static const FamilyNames kFamily{"a partitioner", names_of_rules<BuiltInPartitioner>()};
  return kFamily;
}

}  // namespace

Partitioner partitioner_of(const std::string& name, const std::string& table) {
  Partitioner result;
  with_alternative<BuiltInPartitioner>(partitioners().at(name), [&](auto partitioner) {
    if constexpr (requires { partitioner.salt; }) {
      partitioner.salt = hash_bytes(table);
    }
    result = partitioner;
  });
  return result;
}

const char* name_of(const Partitioner& partitioner) {
  return visit_variant(partitioner, [](const auto& rule) { return rule_name(rule); });
}

PartitionerChoice partitioner_choice(const std::string& name, const OwnRules& own) {
  const std::size_t index = partitioners().with(own_names(own.partitioners)).at(name);
  constexpr std::size_t kBuiltIn = std::variant_size_v<BuiltInPartitioner>;
  return index < kBuiltIn ? PartitionerChoice(name)
                          : PartitionerChoice(own.partitioners[index - kBuiltIn]);
}

PartitionerChoice read_partitioner(Settings& settings, const char* key,
                                   const PartitionerChoice& otherwise, const OwnRules& own) {
  const FamilyNames names = partitioners().with(own_names(own.partitioners));
  const std::optional<std::size_t> index = names.read(settings, key, otherwise.name);
  return index ? partitioner_choice(names.built[*index], own) : otherwise;
}

}  // namespace keyshard
