// What the cells of a column are, counted over a sample.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace keyshard {

struct ColumnFacts {
  std::string name;  ///< of the header, or made of the index
  std::int64_t index = 0;
  std::int64_t cells = 0;    ///< of all records, missing ones too
  std::int64_t missing = 0;  ///< cells without a value
  std::int64_t integers = 0;
  std::int64_t numbers = 0;  ///< the integers too
  bool codes = false;        ///< an integer has zeros in front, as codes have and numbers do not
  std::set<std::string> missing_as;                      ///< the texts of these cells
  std::unordered_map<std::string, std::int64_t> values;  ///< how often each one comes
  std::vector<double> sorted;                            ///< the numbers, ascending

  std::int64_t present() const { return cells - missing; }

  std::int64_t distinct() const { return static_cast<std::int64_t>(values.size()); }

  bool all_numbers() const { return present() > 0 && numbers == present(); }

  bool all_integers() const { return present() > 0 && integers == present() && !codes; }

  /// The number below which that share of the numbers lies; only where there are numbers.
  double quantile(double share) const;
};

/// Whether a text stands for no value, among numbers at least: "NA".
bool stands_for_nothing(std::string_view cell);

/// Texts that stand for no value wherever they fill a cell.
const std::vector<std::string>& missing_texts();

/// Counts the columns of records, each of which has a cell for every name.
std::vector<ColumnFacts> facts_of(const std::vector<std::string>& names,
                                  const std::vector<std::vector<std::string>>& records);

}  // namespace keyshard
