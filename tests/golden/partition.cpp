// partition.json: floor-mod of keys. The other partition functions of TFRA are not built.
#include <fmt/format.h>

#include "embedding/rules/partitioners.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {

void run_partition(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["cases"].list()) {
    const std::string keys = value["keys"].text();
    for (const auto& [name, expected] : value.object()) {
      if (name == "modulo") {
        const std::int64_t shards = value["shards"].integer();
        report.run("partition: cases modulo", fmt::format("{} {}", keys, shards),
                   [&, &want = expected](GoldenCase& one) {
                     std::vector<std::int64_t> found;
                     for (const std::int64_t key : file["keys"][keys].tensor().integers) {
                       found.push_back(floor_mod(static_cast<Key>(key), shards));
                     }
                     one.equal("shard", found, want.tensor().integers);
                   });
      } else if (expected.is_tensor()) {
        report.not_built("partition: cases " + name);
      }
    }
  }
}

}  // namespace keyshard::testing
