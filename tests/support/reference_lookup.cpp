#include "tests/support/reference_lookup.hpp"

#include <algorithm>
#include <cmath>

namespace keyshard::testing {

Vector ReferencePooling::sum(const std::vector<Key>& bag) const {
  std::map<std::int64_t, Vector> shards;
  for (const Key key : bag) {
    const std::int64_t at = by_shard ? shard(key) : 0;
    const auto found = shards.find(at);
    if (found == shards.end()) {
      shards.emplace(at, row(key));
    } else {
      found->second = add_vectors(found->second, row(key));
    }
  }
  return *tree_fold(shards, 0, 1024, add_vectors);
}

Vector ReferencePooling::value(const std::vector<Key>& bag, std::size_t dim) const {
  if (bag.empty()) {
    return Vector(dim, 0.0f);
  }
  const auto n = static_cast<float>(bag.size());
  if (combiner == "min" || combiner == "max") {
    Vector extreme = row(bag.front());
    for (const Key key : bag) {
      const Vector x = row(key);
      for (std::size_t d = 0; d < x.size(); ++d) {
        extreme[d] = combiner == "max" ? std::max(extreme[d], x[d]) : std::min(extreme[d], x[d]);
      }
    }
    return extreme;
  }
  Vector out = sum(bag);
  for (float& x : out) {
    x = combiner == "mean" ? x / n : combiner == "sqrtn" ? x / std::sqrt(n) : x;
  }
  return out;
}

std::vector<Vector> ReferencePooling::gradients(const std::vector<Key>& bag,
                                                const Vector& upstream) const {
  std::vector<Vector> out;
  const auto n = static_cast<float>(bag.size());
  const bool extreme = combiner == "min" || combiner == "max";
  const Vector best = extreme ? value(bag, upstream.size()) : Vector();
  for (const Key key : bag) {
    Vector g = upstream;
    for (std::size_t d = 0; d < g.size(); ++d) {
      if (extreme) {
        const auto ties = static_cast<float>(std::count_if(
            bag.begin(), bag.end(), [&](Key other) { return row(other)[d] == best[d]; }));
        g[d] = row(key)[d] == best[d] ? g[d] / ties : 0.0f;
      } else {
        g[d] = combiner == "mean" ? g[d] / n : combiner == "sqrtn" ? g[d] / std::sqrt(n) : g[d];
      }
    }
    out.push_back(g);
  }
  return out;
}

}  // namespace keyshard::testing
