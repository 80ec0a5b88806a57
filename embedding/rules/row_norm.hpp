// The length of a row, with the same bits at every width of a team.
#pragma once

#include <cstdint>

#include "runtime/portable_math.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// term(0)^2 + ... + term(dim - 1)^2, summed in double by strided_sum, so no square of a float is
/// lost. Every lane gets it. A lane asks for the columns lane, lane + width, ... alone.
template <class Team, class Dim, class Term>
KEYSHARD_HD KEYSHARD_INLINE double row_squares(const Team& team, Dim dim, const Term& term) {
  return strided_sum<double>(team, dim, [&](std::int64_t d) {
    const double x = static_cast<double>(term(d));
    return x * x;
  });
}

/// The root of row_squares.
template <class Team, class Dim, class Term>
KEYSHARD_HD double row_norm(const Team& team, Dim dim, const Term& term) {
  return portable_sqrt(row_squares(team, dim, term));
}

}  // namespace keyshard
