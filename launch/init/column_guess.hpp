// What a column of a user's data is to a model, guessed from its name and its cells, with the
// reason, which stands in the configuration for the user to check.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/data_options.hpp"
#include "launch/init/column_facts.hpp"

namespace keyshard {

/// The options of a column, as far as they are guessed, and why.
struct ColumnGuess {
  ColumnOptions options;
  std::string why;
};

/// The column with the label, by its name or its values; `named` is that of the user, if any. -1:
/// none looks like a label. Throws Error{invalid_argument} where `named` is no column.
std::int64_t find_label(const std::vector<ColumnFacts>& columns, const std::string& named);

/// The label column: of two texts, the rarer one counts as 1.
ColumnGuess guess_label(const ColumnFacts& facts);

/// Any other column.
ColumnGuess guess_feature(const ColumnFacts& facts);

/// A column of numbers as ids of its tenths, for a model that needs ids.
ColumnGuess in_buckets(const ColumnFacts& facts);

}  // namespace keyshard
