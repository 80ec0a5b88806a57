#include "embedding/rules/partitioners.hpp"

#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

Partitioner partitioner_of(const std::string& name, const std::string& table) {
  if (name == "hash") {
    return HashPartitioner{hash_bytes(table)};
  }
  require(name == "modulo", Kind::invalid_argument,
          "expected partitioner hash or modulo: found \"{}\"{}", name,
          did_you_mean(name, {"hash", "modulo"}));
  return ModuloPartitioner{};
}

const char* name_of(const Partitioner& partitioner) {
  return std::holds_alternative<HashPartitioner>(partitioner) ? "hash" : "modulo";
}

}  // namespace keyshard
