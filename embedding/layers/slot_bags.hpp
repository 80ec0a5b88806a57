// The ids [B, n] of a FieldWiseEmbedding as bags: bag (b, s) has the ids of sample b that belong to
// slot s, in their order.
#pragma once

#include <cstdint>
#include <string>

#include "embedding/layers/id_bags.hpp"
#include "embedding/layers/user_functions.hpp"

namespace keyshard {

/// Whether id i counts and has a slot outside of [0, nslots).
struct OutsideSlots {
  KeptIds ids;
  const std::int64_t* slots;
  std::int64_t nslots;

  KEYSHARD_HD bool operator()(std::int64_t i) const {
    return ids.kept(i) && (slots[i] < 0 || slots[i] >= nslots);
  }
};

/// counts[bag] = the ids of each bag of sample b.
struct CountSlots {
  KeptIds ids;
  const std::int64_t* slots;
  std::int64_t n;
  std::int64_t nslots;
  std::int64_t* counts;

  std::int64_t work() const { return 2 * (n + nslots); }

  KEYSHARD_HD void operator()(std::int64_t b) const {
    std::int64_t* mine = counts + b * nslots;
    for (std::int64_t s = 0; s < nslots; ++s) {
      mine[s] = 0;
    }
    for (std::int64_t i = b * n; i < (b + 1) * n; ++i) {
      if (ids.kept(i)) {
        ++mine[slots[i]];
      }
    }
  }
};

/// A count as a term of a scan.
struct CountOf {
  const std::int64_t* counts;

  KEYSHARD_HD std::int64_t operator()(std::int64_t i) const { return counts[i]; }
};

/// Puts the ids of sample b into their bags; `counts` are used up.
struct PlaceIds {
  CountSlots count;
  const std::int64_t* offsets;
  Key* out;

  std::int64_t work() const { return count.work(); }

  KEYSHARD_HD void operator()(std::int64_t b) const {
    // What is left of a bag says where its next id goes.
    for (std::int64_t i = b * count.n; i < (b + 1) * count.n; ++i) {
      if (count.ids.kept(i)) {
        const std::int64_t bag = b * count.nslots + count.slots[i];
        out[offsets[bag + 1] - count.counts[bag]--] = count.ids.ids[i];
      }
    }
  }
};

/// The bags of ids [B, n], checked before. Throws Error{invalid_argument} naming the first id whose
/// slot is outside of [0, nslots).
template <Backend B>
Bags<B> slot_bags(Stream<B>& stream, const std::string& layer, const IdsView& ids,
                  Span<const std::uint8_t> mask, const std::optional<Key>& padding,
                  const SlotMap<B>& map, std::int64_t nslots) {
  Bags<B> bags;
  bags.values = ids.values;
  bags.samples = ids.shape[0];
  bags.per_sample = nslots;
  const std::int64_t total = ids.values.size(), size = bags.samples * nslots;
  Buffer<std::int64_t, B> slots(stream, total);
  map.map(stream, ids.values, slots.data());
  const KeptIds kept = bags.kept(mask, padding);
  const Buffer<std::uint32_t, B> outside =
      select(stream, total, OutsideSlots{kept, slots.data(), nslots});
  if (outside.size() > 0) {
    const std::uint32_t first = value_at(stream, outside.data());
    fail(Kind::invalid_argument,
         "layer {}: expected slot_map_fn to give slots from 0 to {}: found slot {} for id {}",
         layer, nslots - 1, value_at(stream, std::as_const(slots).data() + first),
         static_cast<std::int64_t>(value_at(stream, ids.values.data() + first)));
  }
  Buffer<std::int64_t, B> counts(stream, size);
  const CountSlots count{kept, slots.data(), ids.shape[1], nslots, counts.data()};
  for_each(stream, bags.samples, count);
  Buffer<std::int64_t, B> offsets(stream, size + 1);
  scan(stream, size, CountOf{counts.data()}, offsets.data());
  Buffer<Key, B> values(stream, value_at(stream, std::as_const(offsets).data() + size));
  for_each(stream, bags.samples, PlaceIds{count, offsets.data(), values.data()});
  bags.own_values = std::move(values);
  bags.own_offsets = std::move(offsets);
  bags.values = std::as_const(bags.own_values).span();
  bags.offsets = std::as_const(bags.own_offsets).span();
  return bags;
}

}  // namespace keyshard
