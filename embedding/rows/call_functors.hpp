// What is done to the gradients of the calls of a step, as functors: they are joined, summed per
// key, and looked at for numbers that are not finite.
#pragma once

#include <bit>
#include <cstdint>

#include "embedding/rows/other_values.hpp"
#include "embedding/rows/table_ref.hpp"
#include "runtime/finite.hpp"

namespace keyshard {

/// The gradients of one call as functors see them. Keys of all calls are numbered call after call,
/// from `first` in this call.
struct CallRef {
  const Key* keys;
  const RowId* rows;
  float* values;
  const std::uint32_t* occurrences;
  std::int64_t first;
  std::int64_t dim;                        ///< floats of a gradient
  ValueDtype dtype = ValueDtype::float32;  ///< of the table
};

/// Joins the keys of several calls in one array, with their rows, places of their gradients, and
/// occurrences.
struct JoinCalls {
  const CallRef* calls;
  Key* keys;
  RowId* rows;
  const float** values;        ///< null: not wanted
  std::uint32_t* occurrences;  ///< null: not wanted

  struct Row {
    const JoinCalls* all;
    CallRef call;

    std::int64_t work() const { return 4; }

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
      if (team.thread_rank() != 0) {
        return;
      }
      const std::int64_t k = i - call.first;
      all->keys[i] = call.keys[k];
      all->rows[i] = call.rows[k];
      if (all->values != nullptr) {
        all->values[i] = call.values + k * call.dim;
      }
      if (all->occurrences != nullptr) {
        all->occurrences[i] = call.occurrences == nullptr ? 0 : call.occurrences[k];
      }
    }
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t c, const Body& body) const {
    body(Row{this, calls[c]});
  }
};

/// Sums the gradients of each distinct key of a table, in the order of the calls.
struct SumCalls {
  const TableRef* tables;
  const std::int64_t* starts;  ///< of the distinct keys of each table
  const std::int64_t* bases;   ///< floats before the sums of each table
  const std::uint32_t* offsets;
  const std::uint32_t* terms;
  const float* const* values;
  const std::uint32_t* occurrences;
  float* sums;
  std::uint32_t* counts;

  /// Of a table whose gradients are numbers of type T.
  template <class T>
  struct Row {
    const SumCalls* all;
    std::int64_t first;
    std::int64_t dim;  ///< numbers of a gradient
    T* sums;

    KEYSHARD_HD T term(std::uint32_t k, std::int64_t d) const {
      return numbers_at<T>(all->values[all->terms[k]])[d];
    }

    template <class Team>
    KEYSHARD_HD void operator()(std::int64_t u, const Team& team) const {
      T* sum = sums + (u - first) * dim;
      const std::uint32_t begin = all->offsets[u], end = all->offsets[u + 1];
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        T total = term(begin, d);
        for (std::uint32_t k = begin + 1; k < end; ++k) {
          total = total + term(k, d);
        }
        sum[d] = total;
      }
      if (team.thread_rank() == 0) {
        std::uint32_t count = 0;
        for (std::uint32_t k = begin; k < end; ++k) {
          count += all->occurrences[all->terms[k]];
        }
        all->counts[u] = count;
      }
    }
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    if (tables[t].dtype == ValueDtype::float64) {
      return body(Row<double>{this, starts[t], numbers_in<double>(tables[t].dim),
                              numbers_at<double>(sums + bases[t])});
    }
    body(Row<float>{this, starts[t], tables[t].dim, sums + bases[t]});
  }
};

/// Whether gradient i of a step, numbered table after table, is not finite.
struct NotFinite {
  const CallRef* calls;       ///< of each table
  const std::int64_t* bases;  ///< gradients before those of each table

  template <class T>
  struct Number {
    const T* values;
    std::int64_t first;

    KEYSHARD_HD bool operator()(std::int64_t i) const { return not_finite(values[i - first]); }
  };

  template <class Body>
  KEYSHARD_HD void with_run(std::int64_t t, const Body& body) const {
    if (calls[t].dtype == ValueDtype::float64) {
      return body(Number<double>{numbers_at<double>(calls[t].values), bases[t]});
    }
    body(Number<float>{calls[t].values, bases[t]});
  }
};

}  // namespace keyshard
