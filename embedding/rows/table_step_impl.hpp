// The step of several tables (apply_gradients): brings the gradients of all calls together, checks
// them, makes missing rows, and updates.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "embedding/rows/admission_impl.hpp"
#include "embedding/rows/call_functors.hpp"
#include "embedding/rows/dedup.hpp"
#include "embedding/rows/double_step.hpp"
#include "embedding/rows/row_functors.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/step_journal.hpp"
#include "embedding/rows/update_row.hpp"
#include "embedding/rows/write_back_impl.hpp"
#include "runtime/columns.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/finite.hpp"
#include "runtime/joined.hpp"
#include "runtime/primitives.hpp"

namespace keyshard {

/// Bodies that call a row with a team: those of a device (CallRow).
template <class Body>
concept CallsWithTeam = requires(const Body& body) {
  body.team;
};

struct UpdateRows {
  const TableRef* tables;
  const CallRef* calls;  ///< of each table
  const Key* keys;
  const RowId* rows;
  const RowId* first_new;  ///< of each table
  const WideValues* wide;  ///< of each table

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    using Held = std::conditional_t<CallsWithTeam<Body>, const TableRef&, TableRef>;
    if (!works_as_float(tables[t].dtype)) {
      return;  // doubles have a launch of their own, integers no step
    }
    const GroupRef& group = tables[t].groups[0];
    visit_variant(group.optimizer, [&](const auto& optimizer) {
      body(UpdateRow<std::decay_t<decltype(optimizer)>, Held>(tables[t], group, optimizer,
                                                              {.keys = keys,
                                                               .rows = rows,
                                                               .first_new = first_new[t],
                                                               .first = calls[t].first,
                                                               .gradients = calls[t].values,
                                                               .occurrences = calls[t].occurrences,
                                                               .wide = wide[t]}));
    });
  }
};

/// The gradients of a step, one call per table; `keys` and `rows` lie table after table.
template <Backend B>
struct StepGradients {
  std::vector<RowGradients<B>> calls;  ///< of each table
  std::vector<std::int64_t> starts{0};
  const Key* keys = nullptr;
  RowId* rows = nullptr;
  Buffer<Key, B> own_keys;  // where the calls do not lie one after another
  Buffer<RowId, B> own_rows;
};

/// The refs of several calls, and where the keys of each call start.
template <Backend B>
struct CallRefs {
  std::vector<CallRef> refs;
  std::vector<std::int64_t> starts{0};
  Buffer<CallRef, B> storage;

  void add(const RowGradients<B>& call, const Table<B>& table) {
    refs.push_back({call.keys, call.rows, call.values, call.occurrences, starts.back(),
                    table.layout().width, table.options().value_dtype});
    starts.push_back(starts.back() + call.size);
  }

  const CallRef* on_device(Stream<B>& stream) {
    return device_view<CallRef>(stream, refs, storage);
  }
};

/// The sums of the tables that had several calls, in memory that these tables share.
template <Backend B>
struct SummedCalls {
  Distinct<B> distinct;
  Buffer<RowId, B> rows;
  Buffer<float, B> values;
  Buffer<std::uint32_t, B> occurrences;
};

/// The calls of those tables that have several.
template <Backend B>
struct SeveralCalls {
  std::vector<Table<B>*> tables;
  std::vector<std::size_t> numbers;  ///< the place of each of these tables among all
  std::vector<Partitioner> partitioners;
  std::vector<std::int64_t> blocks{0};  ///< where the keys of each of these tables start
  CallRefs<B> refs;
  std::vector<bool> counted;  ///< whether all calls of a table have occurrences

  SeveralCalls(Span<Table<B>* const> all, const std::vector<std::vector<RowGradients<B>>>& calls) {
    for (std::size_t t = 0; t < calls.size(); ++t) {
      if (calls[t].size() < 2) {
        continue;
      }
      Table<B>* table = all[static_cast<std::int64_t>(t)];
      tables.push_back(table);
      numbers.push_back(t);
      partitioners.push_back(table->partitioner());
      bool all_counted = true;
      for (const RowGradients<B>& call : calls[t]) {
        refs.add(call, *table);
        all_counted = all_counted && (call.size == 0 || call.occurrences != nullptr);
      }
      counted.push_back(all_counted);
      blocks.push_back(refs.starts.back());
    }
  }
};

/// The sums of several calls, key by key, in one pass over all tables; `bases` becomes where the
/// sums of each table start, in floats.
template <Backend B>
std::shared_ptr<SummedCalls<B>> sum_terms(Stream<B>& stream, SeveralCalls<B>& several,
                                          const TableRefs<B>& tables,
                                          std::vector<std::int64_t>& bases) {
  const std::int64_t n = several.refs.starts.back();
  Buffer<Key, B> keys(stream, n);
  Buffer<RowId, B> rows(stream, n);
  Buffer<const float*, B> values(stream, n);
  Buffer<std::uint32_t, B> occurrences(stream, n);
  for_each_run(stream, Span<const std::int64_t>(several.refs.starts),
               JoinCalls{several.refs.on_device(stream), keys.data(), rows.data(), values.data(),
                         occurrences.data()});
  const auto sums = std::make_shared<SummedCalls<B>>();
  sums->distinct = dedup(stream, Occurrences{.keys = keys.span(),
                                             .blocks = several.blocks,
                                             .partitioners = several.partitioners});
  const std::vector<std::int64_t>& starts = sums->distinct.blocks;
  bases = value_bases(tables, Span<const std::int64_t>(starts));
  sums->values = {stream, bases.back()};
  sums->occurrences = {stream, starts.back()};
  Buffer<std::int64_t, B> starts_storage, bases_storage;
  for_each_run(stream, Span<const std::int64_t>(starts),
               SumCalls{.tables = tables.data(),
                        .starts = device_view<std::int64_t>(stream, starts, starts_storage),
                        .bases = device_view<std::int64_t>(stream, bases, bases_storage),
                        .offsets = sums->distinct.offsets.data(),
                        .terms = sums->distinct.occurrences.data(),
                        .values = values.data(),
                        .occurrences = occurrences.data(),
                        .sums = sums->values.data(),
                        .counts = sums->occurrences.data()});
  return sums;
}

/// Sums the calls of those tables that have several: calls[t] becomes one.
template <Backend B>
void sum_calls(Stream<B>& stream, Span<Table<B>* const> tables,
               std::vector<std::vector<RowGradients<B>>>& calls) {
  SeveralCalls<B> several(tables, calls);
  if (several.tables.empty()) {
    return;
  }
  const TableRefs<B> refs(stream, several.tables);
  std::vector<std::int64_t> bases;
  const auto sums = sum_terms(stream, several, refs, bases);
  const std::vector<std::int64_t>& starts = sums->distinct.blocks;
  sums->rows = {stream, starts.back()};
  find_rows(stream, refs, {sums->distinct.keys.data(), starts}, sums->rows.data());
  for (std::size_t s = 0; s < several.tables.size(); ++s) {
    const std::int64_t first = starts[s];
    calls[several.numbers[s]] = {
        {.size = starts[s + 1] - first,
         .keys = sums->distinct.keys.data() + first,
         .rows = sums->rows.data() + first,
         .values = sums->values.data() + bases[s],
         .occurrences = several.counted[s] ? sums->occurrences.data() + first : nullptr,
         .steps = several.tables[s]->steps(),
         .finite = false,
         .keep = {sums}}};
  }
}

/// Whether the keys and the rows of the calls lie one after another, and no table has made a step
/// since the rows were found.
template <Backend B>
bool is_ready(Span<Table<B>* const> tables, const std::vector<RowGradients<B>>& calls) {
  const RowGradients<B>* before = nullptr;
  for (std::size_t t = 0; t < calls.size(); ++t) {
    const RowGradients<B>& call = calls[t];
    if (call.size == 0) {
      continue;
    }
    if (call.steps != tables[static_cast<std::int64_t>(t)]->steps() ||
        (before != nullptr &&
         (before->keys + before->size != call.keys || before->rows + before->size != call.rows))) {
      return false;
    }
    before = &call;
  }
  return true;
}

/// Takes the gradients of all tables, one call each, and lays their keys and rows together.
template <Backend B>
StepGradients<B> gather_gradients(Stream<B>& stream, Span<Table<B>* const> tables) {
  std::vector<std::vector<RowGradients<B>>> calls;
  for (Table<B>* table : tables) {
    calls.push_back(take_calls(stream, *table));
  }
  sum_calls(stream, tables, calls);
  StepGradients<B> step;
  for (std::vector<RowGradients<B>>& of_table : calls) {
    step.calls.push_back(of_table.empty() ? RowGradients<B>{} : std::move(of_table.front()));
    const RowGradients<B>& call = step.calls.back();
    step.starts.push_back(step.starts.back() + call.size);
    if (step.keys == nullptr && call.size > 0) {
      step.keys = call.keys;
      step.rows = call.rows;
    }
  }
  if (is_ready(tables, step.calls)) {
    return step;
  }
  CallRefs<B> refs;
  for (std::size_t t = 0; t < step.calls.size(); ++t) {
    refs.add(step.calls[t], *tables[static_cast<std::int64_t>(t)]);
  }
  step.own_keys = {stream, step.starts.back()};
  step.own_rows = {stream, step.starts.back()};
  step.keys = step.own_keys.data();
  step.rows = step.own_rows.data();
  for_each_run(
      stream, Span<const std::int64_t>(step.starts),
      JoinCalls{refs.on_device(stream), step.own_keys.data(), step.rows, nullptr, nullptr});
  find_rows(stream, TableRefs<B>(stream, tables), {step.keys, step.starts}, step.rows);
  return step;
}

/// Throws for the first gradient of a table that is not finite, of numbers of type T.
template <class T, Backend B>
[[noreturn]] void refuse_gradient(Stream<B>& stream, const Table<B>& table,
                                  const RowGradients<B>& call) {
  const std::int64_t dim = table.layout().dim;
  const std::vector<T> values =
      to_host(stream, Span<const T>(numbers_at<T>(call.values), call.size * dim));
  const auto value =
      std::find_if(values.begin(), values.end(), [](T x) { return !std::isfinite(x); });
  const Key key = value_at(stream, call.keys + (value - values.begin()) / dim);
  fail(Kind::non_finite, "expected finite gradients: found {} for key {} of table {}, read by {}",
       *value, static_cast<std::int64_t>(key), table.options().name, joined(table.readers(), ", "));
}

/// Throws Error{non_finite} naming the first key with such a gradient, of the first table that has
/// one. Gradients that are known to be finite are not looked at.
template <Backend B>
void check_finite(Stream<B>& stream, Span<Table<B>* const> tables, const StepGradients<B>& step,
                  const CallRef* calls) {
  std::vector<std::int64_t> bases{0};
  for (std::size_t t = 0; t < step.calls.size(); ++t) {
    const RowGradients<B>& call = step.calls[t];
    const std::int64_t dim = tables[static_cast<std::int64_t>(t)]->layout().dim;
    bases.push_back(bases.back() + (call.finite ? 0 : call.size * dim));
  }
  if (bases.back() == 0) {
    return;
  }
  Buffer<std::int64_t, B> storage;
  const std::vector<std::int64_t> found =
      sum_runs(stream, Span<const std::int64_t>(bases),
               NotFinite{calls, device_view<std::int64_t>(stream, bases, storage)});
  const auto bad = std::find_if(found.begin(), found.end(), [](std::int64_t n) { return n > 0; });
  if (bad == found.end()) {
    return;
  }
  const std::int64_t t = bad - found.begin();
  const RowGradients<B>& call = step.calls[static_cast<std::size_t>(t)];
  if (tables[t]->options().value_dtype == ValueDtype::float64) {
    refuse_gradient<double>(stream, *tables[t], call);
  }
  refuse_gradient<float>(stream, *tables[t], call);
}

template <Backend B>
void apply_gradients(Stream<B>& stream, Span<Table<B>* const> tables, const UpdateContext& context,
                     StepJournal<B>* journal) {
  const StepGradients<B> step = gather_gradients(stream, tables);
  CallRefs<B> refs;
  for (std::size_t t = 0; t < step.calls.size(); ++t) {
    refs.add(step.calls[t], *tables[static_cast<std::int64_t>(t)]);
  }
  const CallRef* calls = refs.on_device(stream);
  check_finite(stream, tables, step, calls);
  if (journal != nullptr) {
    journal->note_before(stream, {step.keys, step.starts}, step.rows);
  }
  const std::vector<RowId> first_new =
      insert_admitted(stream, tables, {step.keys, step.starts}, step.rows);
  if (journal != nullptr) {
    journal->note_rows(stream, {step.keys, step.starts}, step.rows);
  }
  const TableRefs<B> table_refs(stream, tables, context);
  WideRows<B> wide(stream, table_refs, Span<const std::int64_t>(step.starts));
  Buffer<RowId, B> new_storage;
  for_each_run(stream, Span<const std::int64_t>(step.starts),
               UpdateRows{.tables = table_refs.data(),
                          .calls = calls,
                          .keys = step.keys,
                          .rows = step.rows,
                          .first_new = device_view<RowId>(stream, first_new, new_storage),
                          .wide = wide.on_device(stream)});
  if constexpr (std::same_as<B, Cpu>) {
    update_double_rows(stream, table_refs,
                       {table_refs.data(), calls, step.keys, step.rows, first_new.data()},
                       Span<const std::int64_t>(step.starts));
  }
}

}  // namespace keyshard
