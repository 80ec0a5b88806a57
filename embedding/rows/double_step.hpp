// The step of rows of doubles: the rules of floats (update_row.hpp), computed in double from
// gradients and on states that are doubles. One functor for all optimizers, in a launch of its own
// that steps without such tables do not make: nothing is compiled twice for speed.
#pragma once

#include <cstdint>

#include "embedding/rows/call_functors.hpp"
#include "embedding/rows/row_stages.hpp"

namespace keyshard {

/// The keys of a step, table after table, as UpdateRows has them. Tables of other types are left
/// out.
struct DoubleSteps {
  const TableRef* tables;
  const CallRef* calls;  ///< of each table
  const Key* keys;
  const RowId* rows;
  const RowId* first_new;  ///< of each table

  /// The keys of one table.
  struct Row {
    const TableRef* table;
    CallRef call;
    const Key* keys;
    const RowId* rows;
    RowId first_new;

    /// One step of key i. A row that is new is initialized first; a key without a row was not
    /// admitted and has no step.
    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const;
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    if (tables[t].dtype == ValueDtype::float64) {
      body(Row{tables + t, calls[t], keys, rows, first_new[t]});
    }
  }
};

/// Steps the tables of doubles, if there are some; `starts` has the keys of each table.
template <Backend B>
void update_double_rows(Stream<B>& stream, const TableRefs<B>& refs, const DoubleSteps& steps,
                        Span<const std::int64_t> starts);

}  // namespace keyshard
