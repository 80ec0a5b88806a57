#include "runtime/shard_owners.hpp"

#include <algorithm>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

bool is_all_in_order(std::int64_t ranks, const std::vector<std::int64_t>& list) {
  bool in_order = std::ssize(list) == ranks;
  for (std::size_t i = 0; i < list.size(); ++i) {
    in_order = in_order && list[i] == static_cast<std::int64_t>(i);
  }
  return in_order;
}

}  // namespace

ShardOwners::ShardOwners(std::int64_t ranks, std::int64_t shards, std::vector<std::int64_t> list)
    : ranks_(ranks), shards_(shards), list_(std::move(list)) {
  require(valid(ranks, list_), Kind::invalid_argument,
          "expected owners of shards among the ranks 0 to {}, each once: found {}", ranks - 1,
          joined(list_, ", "));
  if (is_all_in_order(ranks, list_)) {
    list_.clear();
  }
}

bool ShardOwners::valid(std::int64_t ranks, const std::vector<std::int64_t>& list) {
  std::vector<std::int64_t> sorted = list;
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end() &&
         (sorted.empty() || (sorted.front() >= 0 && sorted.back() < ranks));
}

Range ShardOwners::shards_of(std::int64_t rank) const {
  if (in_order()) {
    return shards_of_run(rank);
  }
  const auto found = std::find(list_.begin(), list_.end(), rank);
  return found == list_.end() ? Range{} : shards_of_run(found - list_.begin());
}

}  // namespace keyshard
