// The bodies of a step that can be taken back.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "collectives/vote.hpp"
#include "embedding/rows/staging_impl.hpp"
#include "embedding/rows/step_journal.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"

namespace keyshard {

template <Backend B>
StepJournal<B>::StepJournal(Span<Table<B>* const> tables) {
  for (Table<B>* table : tables) {
    TableJournal<B>& journal = tables_.emplace_back();
    journal.table = table;
    journal.clocks = table->clocks();
    journal.dropped = table->dropped();
  }
}

/// Keeps how often the keys of a step that have no row were sighted before.
template <Backend B>
void note_sightings(Stream<B>& stream, TableJournal<B>& journal, const std::vector<Key>& keys) {
  if (journal.table->sightings() == nullptr) {
    return;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (journal.written[i] == kNoRow) {
      journal.sighted.push_back(keys[i]);
    }
  }
  const Buffer<Key, B> missing = to_device(stream, journal.sighted);
  journal.counts =
      journal.table->sightings()->counts(stream, journal.table->partitioner(), missing.span());
}

template <Backend B>
void StepJournal<B>::note_before(Stream<B>& stream, const TableKeys& keys, const RowId* rows) {
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    TableJournal<B>& journal = tables_[t];
    const std::int64_t begin = keys.starts[static_cast<std::int64_t>(t)];
    const std::int64_t n = keys.starts[static_cast<std::int64_t>(t) + 1] - begin;
    journal.rows = static_cast<RowId>(journal.table->index().size());
    const std::vector<Key> own = to_host(stream, Span<const Key>(keys.keys + begin, n));
    journal.keys = store_keys(*journal.table, own);
    journal.written = to_host(stream, Span<const RowId>(rows + begin, n));
    note_sightings(stream, journal, own);
    std::vector<RowId> old;
    for (const RowId row : journal.written) {
      journal.existed.push_back(row != kNoRow ? 1 : 0);
      if (row != kNoRow) {
        old.push_back(row);
      }
    }
    const std::vector<float> records = journal.table->records(old);
    const auto size = std::ssize(records) / std::max<std::ptrdiff_t>(std::ssize(old), 1);
    journal.before.resize(old.empty() ? 0 : static_cast<std::size_t>(n * size));
    auto from = records.begin();
    for (std::size_t i = 0; i < journal.existed.size(); ++i) {
      if (journal.existed[i] != 0) {
        std::copy_n(from, size, journal.before.begin() + static_cast<std::ptrdiff_t>(i) * size);
        from += size;
      }
    }
  }
}

template <Backend B>
void StepJournal<B>::note_rows(Stream<B>& stream, const TableKeys& keys, const RowId* rows) {
  for (std::size_t t = 0; t < tables_.size(); ++t) {
    TableJournal<B>& journal = tables_[t];
    const std::vector<RowId> now =
        to_host(stream, Span<const RowId>(rows + keys.starts[static_cast<std::int64_t>(t)],
                                          std::ssize(journal.keys)));
    // Keys that were not admitted have no row, and had none.
    const auto size = std::ssize(journal.before) / std::max<std::ptrdiff_t>(std::ssize(now), 1);
    std::size_t left = 0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (now[i] == kNoRow) {
        continue;
      }
      journal.keys[left] = journal.keys[i];
      journal.written[left] = now[i];
      journal.existed[left] = journal.existed[i];
      std::copy_n(journal.before.begin() + static_cast<std::ptrdiff_t>(i) * size, size,
                  journal.before.begin() + static_cast<std::ptrdiff_t>(left) * size);
      ++left;
    }
    journal.keys.resize(left);
    journal.written.resize(left);
    journal.existed.resize(left);
    journal.before.resize(left * static_cast<std::size_t>(size));
  }
}

template <Backend B>
void StepJournal<B>::write() {
  for (TableJournal<B>& journal : tables_) {
    ++written_;
    if (journal.table->stored() == nullptr || journal.keys.empty()) {
      continue;
    }
    failed_ = true;
    // A table whose keys are all new has no records of before.
    const std::int64_t size = journal.table->stored()->store().layout().size();
    journal.before.resize(journal.keys.size() * static_cast<std::size_t>(size));
    keep_changed(*journal.table, journal.keys, journal.written,
                 journal.table->options().bp_v2 ? journal.existed.data() : nullptr,
                 journal.before.data());
    failed_ = false;
  }
}

template <Backend B>
void StepJournal<B>::note_changes() {
  for (const TableJournal<B>& journal : tables_) {
    journal.table->note_changed(journal.keys);
  }
}

/// The entries of a journal whose keys had rows before, or had none.
template <Backend B>
TableJournal<B> part_of(const TableJournal<B>& journal, bool existed) {
  TableJournal<B> part;
  part.table = journal.table;
  const std::ptrdiff_t size = journal.table->stored()->store().layout().size();
  for (std::size_t i = 0; i < journal.keys.size(); ++i) {
    if ((journal.existed[i] != 0) == existed) {
      part.keys.push_back(journal.keys[i]);
      part.written.push_back(journal.written[i]);
      part.existed.push_back(1);
      const auto from = journal.before.begin() + static_cast<std::ptrdiff_t>(i) * size;
      part.before.insert(part.before.end(), from, from + size);
    }
  }
  return part;
}

/// Whether the store of a table holds what it held before the step.
template <Backend B>
bool holds_before(const TableJournal<B>& journal) {
  Store& store = journal.table->stored()->store();
  const std::int64_t size = store.layout().size();
  std::vector<float> records(journal.before.size());
  std::vector<std::uint8_t> found(journal.keys.size());
  store.get(journal.keys, records.data(), found.data());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i) * size;
    if (found[i] != journal.existed[i] ||
        (found[i] != 0 && std::memcmp(records.data() + at, journal.before.data() + at,
                                      store.layout().bytes()) != 0)) {
      return false;
    }
  }
  return true;
}

template <Backend B>
void StepJournal<B>::undo_writes() {
  for (std::size_t t = 0; t < written_; ++t) {
    const TableJournal<B>& journal = tables_[t];
    StoredRows* held = journal.table->stored();
    if (held == nullptr || !held->writes_through() || journal.keys.empty()) {
      continue;
    }
    if (holds_before(journal)) {
      continue;
    }
    Store& store = held->store();
    const bool by_increment = journal.table->options().bp_v2;
    require(!(by_increment && failed_ && t + 1 == written_), Kind::communication,
            "{}: rows of the step may have been written, and what is added twice cannot be known",
            store.place());
    const TableJournal<B> old = part_of(journal, true), fresh = part_of(journal, false);
    if (by_increment) {
      const std::vector<float> after = journal.table->records(old.written);
      const ChangedRecords back{old.keys, old.existed.data(), after.data(), old.before.data()};
      store.add(back);
    } else {
      store.put(old.keys, old.before.data());
    }
    store.erase(fresh.keys);
  }
}

/// Sets the rows of a step to what they were, and forgets those that the step has made.
template <Backend B>
void restore_rows(Stream<B>& stream, const TableJournal<B>& journal) {
  Table<B>& table = *journal.table;
  std::vector<RowId> old;
  std::vector<float> records;
  const auto size = std::ssize(journal.before) / std::ssize(journal.keys);
  for (std::size_t i = 0; i < journal.keys.size(); ++i) {
    if (journal.existed[i] != 0) {
      old.push_back(journal.written[i]);
      const auto from = journal.before.begin() + static_cast<std::ptrdiff_t>(i) * size;
      records.insert(records.end(), from, from + size);
    }
  }
  table.set_records(stream, old, records.data());
  if (table.index().size() > std::int64_t{journal.rows}) {
    table.forget_from(journal.rows);
  }
  if (table.stored() != nullptr) {
    table.stored()->rows.resize(journal.rows);
  }
}

template <Backend B>
void StepJournal<B>::undo_memory(Stream<B>& stream) {
  for (TableJournal<B>& journal : tables_) {
    Table<B>& table = *journal.table;
    table.clocks() = journal.clocks;
    table.count_dropped(journal.dropped - table.dropped());
    if (!journal.keys.empty()) {
      restore_rows(stream, journal);
    }
    if (!journal.sighted.empty()) {
      const Buffer<Key, B> sighted = to_device(stream, journal.sighted);
      table.sightings()->set_counts(stream, table.partitioner(), sighted.span(), journal.counts);
    }
    if (table.stored() != nullptr) {
      end_step(table);  // the next step finds what its store holds
    }
  }
}

/// Takes back a step that has failed on a rank, on all of them, and throws.
template <Backend B>
[[noreturn]] void fail_step(Stream<B>& stream, Communicator<B>& communicator,
                            StepJournal<B>& journal, const Error& error) {
  std::string left = "the step is undone, in memory and in the stores";
  try {
    vote(host_of(communicator), [&] { journal.undo_writes(); });
  } catch (const Error& again) {
    left = fmt::format(
        "the step is undone in memory, but a store may hold rows of this step: {}; resume from a "
        "checkpoint",
        again.text());
  }
  journal.undo_memory(stream);
  fail(error.kind(), "{}; {}", error.text(), left);
}

template <Backend B>
void apply_stored(Stream<B>& stream, Communicator<B>& communicator, Span<Table<B>* const> tables,
                  const UpdateContext& context) {
  StepJournal<B> journal(tables);
  try {
    vote(host_of(communicator), [&] {
      for (Table<B>* table : tables) {
        if (table->stored() != nullptr) {
          stage_gradients(stream, *table);
        }
      }
      apply_gradients(stream, tables, context, &journal);
    });
  } catch (const Error&) {
    journal.undo_memory(stream);
    throw;
  }
  try {
    vote(host_of(communicator), [&] { journal.write(); });
  } catch (const Error& error) {
    fail_step(stream, communicator, journal, error);
  }
  journal.note_changes();
}

}  // namespace keyshard
