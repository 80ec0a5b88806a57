// partition.json: floor-mod of keys, the fingerprints of strings, and the partition functions of
// TFRA that keyshard has not built in, as partitioners of a program.
#include <optional>

#include <fmt/format.h>

#include "embedding/rules/own_rules.hpp"
#include "embedding/rules/partitioners.hpp"
#include "runtime/text_keys.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {

namespace {

/// TFRA's function for keys in a build with CUDA: the lower 31 bits of 64-bit keys modulo shards.
struct LowBits {
  std::int64_t shards;

  std::int64_t shard(Key key) const { return static_cast<std::int64_t>(key & 0x7fffffff) % shards; }
};

/// The unsigned remainder of a fingerprint, which is TFRA's function for strings.
struct Remainder {
  std::uint64_t shards;

  std::int64_t shard(Key key) const { return static_cast<std::int64_t>(key % shards); }
};

std::vector<Key> keys_of(const GoldenTensor& keys) {
  return keys.dtype == "string" ? string_keys(keys.strings)
                                : std::vector<Key>(keys.integers.begin(), keys.integers.end());
}

/// The shards of keys by the partition function of that name; nothing where it is unknown.
std::optional<std::vector<std::int64_t>> shards_of(const std::string& function,
                                                   const std::string& dtype,
                                                   const std::vector<Key>& keys,
                                                   std::int64_t shards) {
  const OwnPartitioner low_bits = own_partitioner(LowBits{shards});
  const OwnPartitioner remainder = own_partitioner(Remainder{static_cast<std::uint64_t>(shards)});
  // TFRA's function for 32-bit keys is floor-mod in every build.
  const bool modulo = function == "modulo" || (function == "cuda_build" && dtype == "int32");
  if (!modulo && function != "cuda_build" && function != "farmhash64_mod") {
    return std::nullopt;
  }
  std::vector<std::int64_t> found;
  for (const Key key : keys) {
    found.push_back(modulo                     ? floor_mod(key, shards)
                    : function == "cuda_build" ? low_bits.shard(key)
                                               : remainder.shard(key));
  }
  return found;
}

}  // namespace

void run_partition(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["cases"].list()) {
    const std::string dtype = value["keys"].text();
    const std::int64_t shards = value["shards"].integer();
    for (const auto& [name, expected] : value.object()) {
      if (!expected.is_tensor()) {
        continue;
      }
      const auto found = shards_of(name, dtype, keys_of(file["keys"][dtype].tensor()), shards);
      if (!found) {
        report.not_built("partition: cases " + name);
        continue;
      }
      report.run("partition: cases " + name, fmt::format("{} {}", dtype, shards),
                 [&, &want = expected](GoldenCase& one) {
                   one.equal("shard", *found, want.tensor().integers);
                 });
    }
  }
}

void run_fingerprints(const GoldenValue& file, Report& report) {
  report.run("partition: farmhash64", "fingerprints", [&](GoldenCase& one) {
    const std::vector<Key> found = keys_of(file["keys"]["string"].tensor());
    one.equal("fingerprint", {found.begin(), found.end()}, file["farmhash64"].tensor().integers);
  });
}

}  // namespace keyshard::testing
