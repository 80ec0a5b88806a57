#include "embedding/stores/store.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "embedding/rules/max_norm.hpp"
#include "runtime/short_floats.hpp"
#include "runtime/team.hpp"

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

/// The i-th number of type T of those that begin at `floats`: records may begin at odd places.
template <class T>
T number_at(const float* floats, std::int64_t i) {
  T number;
  std::memcpy(&number, reinterpret_cast<const char*>(floats) + i * std::int64_t{sizeof(T)},
              sizeof(T));
  return number;
}

template <class T>
void set_number(float* floats, std::int64_t i, T number) {
  std::memcpy(reinterpret_cast<char*>(floats) + i * std::int64_t{sizeof(T)}, &number, sizeof(T));
}

/// Numbers that are worked on as they are stored.
template <class T>
struct Plain {
  static T widen(T x) { return x; }

  static T narrow(T x) { return x; }
};

/// Adds the changes of values that are stored as `Stored`, and clips them.
template <class Form, class Stored>
void merge_values(const RecordLayout& layout, const float* before, const float* after, float* now) {
  const auto at = [](const float* record, std::int64_t i) {
    return Form::widen(number_at<Stored>(record, i));
  };
  using Number = decltype(at(now, 0));
  std::vector<Number> sums;
  for (std::int64_t i = 0; i < layout.num_values; ++i) {
    const Number change = at(after, i) - at(before, i);
    sums.push_back(at(now, i) + change);
  }
  for (const RecordLimit& limit : layout.limits) {
    clip_row(Solo{}, limit.dim, limit.max_norm, sums.data() + limit.offset);
  }
  for (std::int64_t i = 0; i < layout.num_values; ++i) {
    set_number(now, i, Form::narrow(sums[static_cast<std::size_t>(i)]));
  }
}

/// Adds the changes of `n` numbers behind the first floats of a record.
template <class T>
void add_numbers(std::int64_t n, const float* before, const float* after, float* now) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T change = static_cast<T>(number_at<T>(after, i) - number_at<T>(before, i));
    set_number(now, i, static_cast<T>(number_at<T>(now, i) + change));
  }
}

/// Merges the values of a record, and returns how many floats they take.
std::int64_t merge_all_values(const RecordLayout& layout, const float* before, const float* after,
                              float* now) {
  const std::int64_t n = layout.num_values;
  switch (layout.values) {
    case RecordValues::float16:
      merge_values<Float16, std::uint16_t>(layout, before, after, now);
      return (n + 1) / 2;
    case RecordValues::bfloat16:
      merge_values<Bfloat16, std::uint16_t>(layout, before, after, now);
      return (n + 1) / 2;
    case RecordValues::float64:
      merge_values<Plain<double>, double>(layout, before, after, now);
      return 2 * n;
    case RecordValues::int8:
      add_numbers<std::uint8_t>(n, before, after, now);
      return (n + 3) / 4;
    case RecordValues::int32:
      add_numbers<std::uint32_t>(n, before, after, now);
      return n;
    case RecordValues::int64:
      add_numbers<std::uint64_t>(n, before, after, now);
      return 2 * n;
    case RecordValues::float32:
      break;
  }
  merge_values<Plain<float>, float>(layout, before, after, now);
  return n;
}

}  // namespace

void merge_record(const RecordLayout& layout, const float* before, const float* after, float* now) {
  if (std::memcmp(now, before, layout.bytes()) == 0) {
    std::copy_n(after, layout.size(), now);
    return;
  }
  const std::int64_t first = merge_all_values(layout, before, after, now);
  if (layout.values == RecordValues::float64) {
    add_numbers<double>((layout.floats - first) / 2, before + first, after + first, now + first);
  } else {
    add_numbers<float>(layout.floats - first, before + first, after + first, now + first);
  }
  if (layout.status != StatusMerge::none) {
    const auto bits = [&](const float* record) {
      return std::bit_cast<std::uint32_t>(record[layout.floats]);
    };
    now[layout.floats] =
        std::bit_cast<float>(merged_status(layout.status, bits(before), bits(after), bits(now)));
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
