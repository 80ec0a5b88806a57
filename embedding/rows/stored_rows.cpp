#include "embedding/rows/stored_rows.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "runtime/json.hpp"
#include "runtime/visit.hpp"

namespace keyshard {
namespace {

/// Bytes of the index for a row, at most: a segment is at least a fifth full.
constexpr std::int64_t kIndexBytes = 64;
/// Bytes that an index with few keys in every shard takes from the system.
constexpr std::int64_t kLeastIndexBytes = 512 << 10;

StatusMerge status_merge(const RestrictPolicy& policy) {
  if (!has_status(policy)) {
    return StatusMerge::none;
  }
  return std::holds_alternative<Frequency>(policy) ? StatusMerge::add : StatusMerge::higher;
}

/// The limits of the column groups that have one.
std::vector<RecordLimit> limits_of(const TableOptions& options, const RowLayout& layout) {
  std::vector<RecordLimit> limits;
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    if (options.groups[g].max_norm > 0) {
      limits.push_back(
          {layout.groups[g].value_offset, layout.groups[g].dim, options.groups[g].max_norm});
    }
  }
  return limits;
}

}  // namespace

RecordLayout record_layout(const TableOptions& options, const RowLayout& layout) {
  RecordLayout record{options.name, "", layout.floats, status_merge(options.restrict_policy)};
  record.values = static_cast<RecordValues>(options.value_dtype);
  record.num_values = layout.dim;
  record.limits = limits_of(options, layout);
  SettingValue::Table columns;
  for (const RowColumn& column : row_columns(options, layout)) {
    columns.emplace_back(column.name, value_of(column.width));
  }
  const bool tiered = std::holds_alternative<TieredRows>(options.kv_creator);
  record.text = json_text(
      value_of(SettingValue::Table{{"table", value_of(options.name)},
                                   {"holds", value_of(std::string(tiered ? "part" : "all"))},
                                   {"dtype", value_of(option_name(options.value_dtype))},
                                   {"columns", value_of(std::move(columns))},
                                   {"options", saved_options(options)}}));
  return record;
}

StoredRows::StoredRows(const TableOptions& options, const RowLayout& layout,
                       const StoreOwner& owner, const HostMemory& memory) {
  const RecordLayout record = record_layout(options, layout);
  visit_variant(options.kv_creator, [&](const auto& creator) {
    using Rows = std::decay_t<decltype(creator)>;
    if constexpr (std::is_same_v<Rows, TieredRows>) {
      store_ = make_store(creator.slow, record, owner, memory);
      store_->clear(owner.shards());  // without the memory of that time, old rows are of no use
      const std::int64_t row_bytes =
          layout.stride * 4 + 4 + static_cast<std::int64_t>(sizeof(HeldRow)) + kIndexBytes;
      fast_bytes_ = creator.fast_bytes;
      most_rows_ = std::max<std::int64_t>((fast_bytes_ - kLeastIndexBytes) / row_bytes, 1);
    } else if constexpr (std::is_constructible_v<SlowRows, Rows>) {
      store_ = make_store(creator, record, owner, memory);
    }
  });
  host_store_ = dynamic_cast<HostStore*>(store_.get());
}

std::int64_t StoredRows::piece() const noexcept {
  constexpr std::int64_t kMost = 1 << 16;
  return writes_through() ? kMost : std::clamp<std::int64_t>(most_rows_ / 2, 1, kMost);
}

void StoredRows::use(const std::vector<RowId>& used) {
  for (const RowId row : used) {
    if (row != kNoRow) {
      rows[row].used = step_;
    }
  }
}

void StoredRows::count_found(const std::vector<RowId>& used) {
  for (const RowId row : used) {
    counts_.found += row != kNoRow && rows[row].used != step_ ? 1 : 0;
  }
}

void StoredRows::end_step() {
  absent.clear();
  trains = false;
  ++step_;
}

}  // namespace keyshard
