#include "embedding/rules/partitioners.hpp"

#include "embedding/rules/family.hpp"
#include "runtime/digest.hpp"

namespace keyshard {
namespace {

const FamilyNames& partitioners() {
  static const FamilyNames kFamily{"a partitioner", names_of_rules<Partitioner>(), {}};
  return kFamily;
}

}  // namespace

Partitioner partitioner_of(const std::string& name, const std::string& table) {
  Partitioner result;
  with_alternative<Partitioner>(partitioners().at(name), [&](auto partitioner) {
    if constexpr (requires { partitioner.salt; }) {
      partitioner.salt = hash_bytes(table);
    }
    result = partitioner;
  });
  return result;
}

const char* name_of(const Partitioner& partitioner) {
  return visit_variant(partitioner, [](auto rule) { return decltype(rule)::kName; });
}

std::string read_partitioner(Settings& settings, const char* key, const std::string& otherwise) {
  return partitioners().read(settings, key, otherwise) ? settings.text(key, otherwise) : otherwise;
}

}  // namespace keyshard
