// How the rows of a bag become one vector. A combiner is a mergeable state per column: `start`
// makes a state from the first row, `add` adds the next row, `merge` joins two states, and `value`
// is the result for n rows. So each owner can pool its part of a bag, and the asker merges the
// parts. Backward, `back` makes the backward message from the gradient and state of the bag, and
// `gradient` makes the gradient of one row from that message and the row. `empty` is what
// TensorFlow reduces a bag with no ids to.
//
// `kWidths`: whether loops over columns are compiled for usual widths. A compiler unrolls a loop of
// a known length before it makes vector instructions of it, so those of a long body come out better
// where the length is not known.
//
// A struct says all that is particular to its combiner, for rows of numbers of type T, and
// `CombinersOf` lists it. States and
// backward messages travel as bytes: both are trivially copyable, aligned to 8 bytes at most, and
// consist of numbers of one type, float or double.
//
// A bag with no ids gives zero and no gradient: callers see to that, a combiner never gets such a
// bag. Where the gradient of a combiner does not exist, it is 0.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "embedding/rules/combine_exponentials.hpp"
#include "embedding/rules/combine_extremes.hpp"
#include "embedding/rules/combine_product.hpp"
#include "embedding/rules/combine_squares.hpp"
#include "embedding/rules/combine_sums.hpp"
#include "embedding/rules/own_combiner.hpp"

namespace keyshard {

class Settings;

/// The table of the family (family.hpp), for rows of floats or of doubles.
template <class T>
using CombinersOf = std::variant<SumOf<T>, MeanOf<T>, MinOf<T>, MaxOf<T>, SqrtNOf<T>, ProdOf<T>,
                                 VarianceOf<T>, StdOf<T>, LogSumExpOf<T>, EuclideanNormOf<T>>;
using Combiner = CombinersOf<float>;

/// What a feature is pooled by: a built-in combiner, or one of a program.
using AnyCombiner = std::variant<Combiner, OwnCombiner>;

/// The combiner of that name ("sqrt_n" is another name of sqrtn). Throws Error{invalid_argument}
/// with the list of names and the nearest.
Combiner combiner_of(const std::string& name);
const char* name_of(const Combiner& combiner);
const char* name_of(const AnyCombiner& combiner);
const std::vector<std::string>& combiner_names();

/// The same, also for the registered combiners of a program.
AnyCombiner any_combiner_of(const std::string& name, const OwnRules& own);

/// Reads the name of a combiner under `key`; `otherwise` where the key is absent or wrong. A
/// problem is recorded in `settings`.
AnyCombiner read_combiner(Settings& settings, const char* key, const AnyCombiner& otherwise,
                          const OwnRules& own = no_own_rules());

/// Bytes per column of a state and of a backward message, for messages between ranks.
std::int64_t state_bytes(const Combiner& combiner);
/// Bytes per column of a state of rows of doubles.
std::int64_t double_state_bytes(const Combiner& combiner);
std::int64_t back_bytes(const Combiner& combiner);
/// The alignment that both need, in bytes.
std::int64_t combiner_alignment(const Combiner& combiner);
/// Whether backward needs the bag's state and the rows.
bool back_needs_state(const Combiner& combiner);
/// What TensorFlow reduces a bag with no ids to (sqrtn, which it lacks, is 0).
float empty_value(const Combiner& combiner, EmptyForm form);

}  // namespace keyshard
