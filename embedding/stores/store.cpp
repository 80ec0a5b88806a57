#include "embedding/stores/store.hpp"

#include <algorithm>
#include <bit>

#include "runtime/short_floats.hpp"

namespace keyshard {
namespace {

std::uint32_t merged_status(StatusMerge rule, std::uint32_t before, std::uint32_t after,
                            std::uint32_t now) {
  if (rule == StatusMerge::higher) {
    return std::max(now, after);
  }
  const std::uint64_t sum = std::uint64_t{now} + (after > before ? after - before : 0);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, UINT32_MAX));
}

/// Adds the changes of floats of 16 bits, as a row adds: as floats, rounded once.
template <class Short>
void add_shorts(std::int64_t n, const float* before, const float* after, float* now) {
  const auto* old = reinterpret_cast<const std::uint16_t*>(before);
  const auto* updated = reinterpret_cast<const std::uint16_t*>(after);
  auto* sums = reinterpret_cast<std::uint16_t*>(now);
  for (std::int64_t i = 0; i < n; ++i) {
    const float change = Short::widen(updated[i]) - Short::widen(old[i]);
    sums[i] = Short::narrow(Short::widen(sums[i]) + change);
  }
}

}  // namespace

void merge_record(const RecordLayout& layout, const float* before, const float* after, float* now) {
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  const auto same = [&](std::int64_t i) { return bits(now[i]) == bits(before[i]); };
  bool all_same = true;
  for (std::int64_t i = 0; i < layout.size(); ++i) {
    all_same = all_same && same(i);
  }
  if (all_same) {
    std::copy_n(after, layout.size(), now);
    return;
  }
  if (layout.shorts == ShortValues::float16) {
    add_shorts<Float16>(layout.num_shorts, before, after, now);
  } else if (layout.shorts == ShortValues::bfloat16) {
    add_shorts<Bfloat16>(layout.num_shorts, before, after, now);
  }
  for (std::int64_t i = (layout.num_shorts + 1) / 2; i < layout.floats; ++i) {
    now[i] = now[i] + (after[i] - before[i]);
  }
  if (layout.status != StatusMerge::none) {
    float& status = now[layout.floats];
    status = std::bit_cast<float>(merged_status(layout.status, bits(before[layout.floats]),
                                                bits(after[layout.floats]), bits(status)));
  }
}

std::int64_t Store::add(const ChangedRecords& changed) {
  const std::int64_t n = changed.keys.size(), size = layout_.size();
  std::vector<float> now(static_cast<std::size_t>(n * size));
  std::vector<std::uint8_t> exists(static_cast<std::size_t>(n));
  get(changed.keys, now.data(), exists.data());
  std::vector<StoreKey> keys;
  std::vector<float> records;
  for (std::int64_t i = 0; i < n; ++i) {
    if (exists[static_cast<std::size_t>(i)] != changed.existed[i]) {
      continue;
    }
    keys.push_back(changed.keys[i]);
    const float* after = changed.after + i * size;
    float* record = now.data() + i * size;
    if (changed.existed[i] != 0) {
      merge_record(layout_, changed.before + i * size, after, record);
    } else {
      std::copy_n(after, size, record);
    }
    records.insert(records.end(), record, record + size);
  }
  put(keys, records.data());
  return n - std::ssize(keys);
}

}  // namespace keyshard
