// The bodies of Table.
#pragma once

#include <algorithm>
#include <ctime>
#include <utility>

#include "embedding/rows/dedup.hpp"
#include "embedding/rows/row_stages_impl.hpp"
#include "embedding/rows/sightings_impl.hpp"
#include "embedding/rows/staging.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {

/// Throws where the options want another place than that of the table: Error{not_built} where a
/// rule is a function of the host and rows are not, and for doubles and integers on a device;
/// Error{invalid_argument} where rows are to live on a device and there is none.
template <Backend B>
void require_place(const TableOptions& options) {
  if constexpr (std::same_as<B, Cpu>) {
    require(!std::holds_alternative<DeviceRows>(options.kv_creator), Kind::invalid_argument,
            "table {}: kv_creator device is the memory of a GPU (--device cuda): expected host on "
            "a CPU: found device",
            options.name);
  } else {
    require(
        works_as_float(options.value_dtype), Kind::not_built,
        "table {}: expected value_dtype float32, float16 or bfloat16 on a device, or a table on "
        "a CPU: found {}, which is not built there",
        options.name, option_name(options.value_dtype));
    require(!has_own_rules(options), Kind::not_built,
            "table {}: rules of a program are functions of the host and need a table on a CPU",
            options.name);
  }
}

template <Backend B>
Table<B>::Table(TableOptions options, Range shards, std::int64_t rank, std::int64_t ranks)
    : options_((check(options), std::move(options))),
      partitioner_(chosen_partitioner(options_.partitioner, options_.name)),
      layout_(options_.groups, options_.value_dtype),
      index_(shards, hash_of(options_.seed, 0x1DE)),
      store_(layout_.stride),
      statuses_(1) {
  require_place<B>(options_);
  for (GroupOptions& group : options_.groups) {
    if (!group.constant.empty()) {
      group.initializer = ConstantVector{group.constant.data()};
    }
    clocks_.emplace_back(group.optimizer);
  }
  if (options_.admit_after > 1) {
    sightings_.emplace(shards, hash_of(options_.seed, 0x516),
                       static_cast<std::uint32_t>(options_.admit_after));
  }
  std::int64_t room = options_.init_capacity * shards.size() / kShards;
  if (!in_memory(options_.kv_creator)) {
    stored_ = std::make_unique<StoredRows>(
        options_, layout_, StoreOwner{rank, owners_of(options_, ranks)}, host_memory<B>());
    room = std::min(room, stored_->most_rows());
    if (!stored_->writes_through()) {
      store_.limit(stored_->most_rows());
      statuses_.limit(stored_->most_rows());
    }
  }
  index_.reserve(room);
}

template <Backend B>
void Table<B>::add_reader(const std::string& feature) {
  if (std::find(readers_.begin(), readers_.end(), feature) == readers_.end()) {
    readers_.push_back(feature);
  }
}

template <Backend B>
void Table<B>::add_group_refs(std::vector<GroupRef>& refs) const {
  for (std::size_t g = 0; g < layout_.groups.size(); ++g) {
    const RowLayout::Group& group = layout_.groups[g];
    GroupRef& ref = refs.emplace_back();
    ref.initializer = options_.groups[g].initializer;
    ref.seed = hash_of(options_.seed, g);
    ref.offset = group.value_offset;
    ref.dim = group.dim;
    ref.state_offset = group.state_offset;
    ref.num_states = static_cast<int>(group.states.size());
    for (std::size_t s = 0; s < group.states.size(); ++s) {
      ref.states[s] = {group.states[s].width, group.states[s].initial};
    }
    ref.max_norm = options_.groups[g].max_norm;
    ref.optimizer = options_.groups[g].optimizer;
  }
}

template <Backend B>
TableRef Table<B>::ref(const GroupRef* groups) const {
  return {.index = index_.ref(),
          .store = store_.ref(),
          .status = {.policy = options_.restrict_policy,
                     .store = statuses_.ref(),
                     .now = now(),
                     .changed = changed_ ? changed_->ref() : RowStoreRef{},
                     .follows = changed_ != nullptr},
          .partitioner = partitioner_,
          .groups = groups,
          .num_groups = static_cast<std::int64_t>(layout_.groups.size()),
          .dim = layout_.width,
          .zeros = options_.missing == Missing::zeros,
          .dtype = options_.value_dtype};
}

template <Backend B>
std::uint32_t Table<B>::now() const {
  const std::int64_t time = std::holds_alternative<TimestampSeconds>(options_.restrict_policy)
                                ? static_cast<std::int64_t>(std::time(nullptr))
                                : clocks_.front().step();
  return static_cast<std::uint32_t>(std::min<std::int64_t>(time, UINT32_MAX));
}

template <Backend B>
RowId Table<B>::allocate(std::int64_t rows) {
  const bool has_statuses = has_status(options_.restrict_policy);
  if (!has_statuses && changed_ == nullptr) {
    return store_.allocate(rows);
  }
  // All stores give out the same numbers; threads load different shards at once.
  const std::lock_guard lock(allocation_);
  const RowId first = store_.allocate(rows);
  try {
    if (has_statuses) {
      statuses_.allocate(rows);
    }
    if (changed_ != nullptr) {
      changed_->allocate(rows);
    }
  } catch (...) {
    store_.truncate(first);
    statuses_.truncate(std::min<std::int64_t>(first, statuses_.size()));
    throw;
  }
  return first;
}

template <Backend B>
void Table<B>::truncate(std::int64_t rows) {
  store_.truncate(rows);
  statuses_.truncate(std::min(rows, statuses_.size()));
  if (changed_ != nullptr) {
    changed_->truncate(rows);
  }
  ++steps_;
}

template <Backend B>
void Table<B>::clear(Stream<B>& stream) {
  if (sightings_) {
    sightings_->clear(stream);
  }
  calls_.clear();
  if (stored_ != nullptr) {
    empty_store(*this);
    return;
  }
  for (std::int64_t shard = shards().begin; follows_changes() && shard < shards().end; ++shard) {
    for (const Key key : shard_rows(shard).keys) {
      note_removed(shard, key);
    }
  }
  const std::vector<std::int64_t> none(static_cast<std::size_t>(shards().size()) + 1);
  replace_keys<B>(stream, index_, none, nullptr, nullptr);
  truncate(0);
}

template <Backend B>
void Table<B>::begin_step(const UpdateContext& context, GroupRef* groups) {
  ++steps_;
  // Numbers of the type in which a step computes.
  const auto as_number = [&](double x) {
    return options_.value_dtype == ValueDtype::float64 ? x
                                                       : static_cast<double>(static_cast<float>(x));
  };
  const double samples =
      as_number(static_cast<double>(std::max<std::int64_t>(context.valid_samples, 1)));
  for (std::size_t g = 0; g < clocks_.size(); ++g) {
    const Regularization& rule = options_.groups[g].regularization;
    const double rate = as_number(as_number(learning_rate_of(options_.groups[g].optimizer)) *
                                  as_number(context.learning_rate_scale));
    groups[g].step = clocks_[g].tick(context.learning_rate_scale);
    groups[g].regularized =
        rule.clip_value > 0 || rule.clip_norm > 0 || rule.l2 > 0 || rule.weight_decay > 0;
    groups[g].clip_value = rule.clip_value;
    groups[g].clip_norm = rule.clip_norm;
    groups[g].l2_per_occurrence = rule.l2_per_occurrence;
    groups[g].l2 = rule.l2_per_occurrence ? as_number(as_number(rule.l2) / samples) : rule.l2;
    groups[g].decay = as_number(rate * as_number(rule.weight_decay));
  }
}

template <Backend B>
void Table<B>::find(Stream<B>& stream, Span<const Key> keys, RowId* rows) const {
  const Table<B>* const self[] = {this};
  const std::int64_t starts[] = {0, keys.size()};
  find_rows(stream, TableRefs<B>(stream, self), {keys.data(), starts}, rows);
}

template <Backend B>
void Table<B>::read(Stream<B>& stream, Span<const Key> keys, const RowId* rows, bool inference,
                    float* out) const {
  const Table<B>* const self[] = {this};
  const std::int64_t starts[] = {0, keys.size()};
  read_rows(stream, TableRefs<B>(stream, self), {keys.data(), starts}, rows, inference, out);
}

/// rows[indices[i]] = the row of the distinct key that taken key i is.
struct SpreadRows {
  const std::uint32_t* indices;
  const RowId* of_distinct;
  const std::uint32_t* inverse;
  RowId* rows;

  KEYSHARD_HD void operator()(std::int64_t i) const { rows[indices[i]] = of_distinct[inverse[i]]; }
};

template <Backend B>
void Table<B>::find_or_make(Stream<B>& stream, Span<const Key> keys, RowId* rows) {
  Table<B>* const self[] = {this};
  if (stored_ != nullptr) {
    stage_keys(stream, *this, distinct_on_host(stream, keys), false);
  }
  find(stream, keys, rows);
  const Buffer<std::uint32_t, B> missing = select(stream, keys.size(), IsMissing{rows});
  if (missing.size() == 0) {
    return;
  }
  Buffer<Key, B> taken(stream, missing.size());
  for_each(stream, missing.size(), TakeKeys{missing.data(), keys.data(), taken.data()});
  const Distinct<B> distinct = dedup(
      stream,
      Occurrences{.keys = taken.span(), .partitioners = Span<const Partitioner>(&partitioner_, 1)});
  Buffer<RowId, B> fresh(stream, distinct.size());
  insert_all<B>(stream, self, {distinct.keys.data(), distinct.blocks}, fresh.data());
  const Table<B>* const read[] = {this};
  const TableRefs<B> refs(stream, read);
  const Span<const std::int64_t> blocks(distinct.blocks);
  WideRows<B> wide(stream, refs, blocks);
  Buffer<std::int64_t, B> starts_storage;
  for_each_run(stream, blocks,
               InitializeRows{.tables = refs.data(),
                              .keys = distinct.keys.data(),
                              .rows = fresh.data(),
                              .starts = device_view(stream, blocks, starts_storage),
                              .wide = wide.on_device(stream)});
  for_each(stream, missing.size(),
           SpreadRows{missing.data(), fresh.data(), distinct.inverse.data(), rows});
  ++steps_;  // a step that found no row of these keys is to find them again
}

template <Backend B>
void Table<B>::add(RowGradients<B> gradients) {
  require(!is_integer(options_.value_dtype), Kind::invalid_argument,
          "table {}: rows of integers are only looked up: expected no gradients, found those of {} "
          "keys for value_dtype {}",
          options_.name, gradients.size, option_name(options_.value_dtype));
  calls_.push_back(std::move(gradients));
}

template <Backend B>
std::vector<RowGradients<B>> Table<B>::take_gradients() {
  return std::exchange(calls_, {});
}

template <Backend B>
void Table<B>::apply(Stream<B>& stream, const UpdateContext& context) {
  Table<B>* const self[] = {this};
  apply_gradients<B>(stream, self, context);
}

/// Sets a row to given values, clipped to max_norm, and its states to those of a new row.
struct AssignRow {
  const TableRef* table;
  const Key* keys;
  const RowId* rows;
  const float* values;
  WideValues wide = {};  ///< of row i

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    float* copy = wide.of_row(i, table->dim);
    const OpenRow open(*table, rows[i], copy);
    initialize(team, *table, keys[i], rows[i], copy);
    team.sync();
    for (std::int64_t d = team.thread_rank(); d < table->dim; d += team.num_threads()) {
      open.values[d] = values[i * table->dim + d];
    }
    clip_groups(team, *table, open.values);
    open.store(team, *table);
  }
};

template <Backend B>
void Table<B>::assign(Stream<B>& stream, Span<const Key> keys, const float* values) {
  const Table<B>* const self[] = {this};
  const std::int64_t piece = stored_ == nullptr ? keys.size() : stored_->piece();
  for (std::int64_t begin = 0; begin < keys.size(); begin += piece) {
    const Span<const Key> part = keys.subspan(begin, std::min(piece, keys.size() - begin));
    Buffer<RowId, B> rows(stream, part.size());
    find_or_make(stream, part, rows.data());
    const TableRefs<B> refs(stream, self);
    const std::int64_t starts[] = {0, part.size()};
    const WideRows<B> wide(stream, refs, starts);
    for_each_row(stream, part.size(),
                 AssignRow{refs.data(), part.data(), rows.data(), values + begin * layout_.width,
                           wide.tables.front()});
    keep(stream, part, rows.data());
  }
}

/// The bytes of a column in a row.
inline RowPart part_of(const RowColumn& column) {
  const std::int64_t bytes = value_bytes(column.dtype);
  return {column.offset * bytes, column.width * bytes};
}

template <Backend B>
ShardRows Table<B>::shard_rows(std::int64_t shard) const {
  return sorted_rows(index_, shard);
}

template <Backend B>
void Table<B>::copy_column(Span<const RowId> rows, const RowColumn& column, void* out) const {
  copy_rows_out<B>((column.is_status ? statuses_ : store_).ref(), rows, part_of(column), out);
}

template <Backend B>
void Table<B>::load_shard(std::int64_t shard, Span<const Key> keys,
                          const std::vector<const void*>& columns) {
  if (stored_ != nullptr) {
    put_shard(shard, keys, columns);
    return;
  }
  const RowId first = allocate(keys.size());
  index_.insert(static_cast<std::uint32_t>(shard), keys, first);
  if (changed_ != nullptr) {
    const std::vector<float> ones(static_cast<std::size_t>(keys.size()), 1.0f);
    copy_rows_in<B>(changed_->ref(), {first, keys.size()}, {0, sizeof(float)}, ones.data());
  }
  std::vector<PartSource> rows, statuses;
  const std::vector<RowColumn> places = this->columns();
  for (std::size_t c = 0; c < places.size(); ++c) {
    (places[c].is_status ? statuses : rows).push_back({part_of(places[c]), columns[c]});
  }
  copy_rows_in<B>(store_.ref(), {first, keys.size()}, rows);
  if (!statuses.empty()) {
    copy_rows_in<B>(statuses_.ref(), {first, keys.size()}, statuses);
  }
}

}  // namespace keyshard
