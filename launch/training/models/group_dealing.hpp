// Brings what belongs to a group (group_auc.hpp) to the one rank that owns the group.
#pragma once

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "collectives/exchange.hpp"
#include "launch/training/models/group_auc.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// Deals the items of all ranks to the owners of their groups; those of this rank come back in the
/// order of Item::place(), a tuple that begins with GroupId::part. Items are trivially copyable.
/// Collective.
template <class Item>
std::vector<Item> deal_by_group(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                std::vector<Item> items) {
  const auto sort = [](std::vector<Item>& all) {
    std::sort(all.begin(), all.end(),
              [](const Item& a, const Item& b) { return a.place() < b.place(); });
  };
  sort(items);
  if (communicator.size() == 1) {
    return items;
  }
  std::vector<std::int64_t> counts;
  auto begin = items.begin();
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const std::int64_t end_part = run_of(rank, communicator.size(), GroupId::kParts).end;
    const auto end = std::partition_point(
        begin, items.end(), [&](const Item& item) { return std::get<0>(item.place()) < end_part; });
    counts.push_back(end - begin);
    begin = end;
  }
  const Exchange<Cpu> exchange(communicator, counts);
  std::vector<Item> received(static_cast<std::size_t>(exchange.received()));
  exchange.forward(stream, items.data(), received.data());
  sort(received);
  return received;
}

}  // namespace keyshard
