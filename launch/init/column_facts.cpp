#include "launch/init/column_facts.hpp"

#include <algorithm>

#include "io/text_number.hpp"

namespace keyshard {
namespace {

/// Texts that stand for no value in a column whose other cells are numbers.
bool is_no_number(std::string_view cell) {
  for (const char* text : {"NA", "N/A", "na", "nan", "NaN", "None", "none", "-"}) {
    if (cell == text) {
      return true;
    }
  }
  return false;
}

bool is_missing(std::string_view cell) {
  const std::vector<std::string>& texts = missing_texts();
  return std::find(texts.begin(), texts.end(), cell) != texts.end();
}

/// Whether an integer is written as no number is: "007".
bool is_code(std::string_view cell) {
  return cell.size() > 1 && cell[0] == '0' && cell.find('.') == std::string_view::npos;
}

void add_cell(ColumnFacts& facts, const std::string& cell) {
  ++facts.cells;
  if (is_missing(cell)) {
    ++facts.missing;
    facts.missing_as.insert(cell);
    return;
  }
  ++facts.values[cell];
  facts.integers += parse_integer(cell).has_value();
  if (const std::optional<double> number = parse_number(cell)) {
    ++facts.numbers;
    facts.codes |= is_code(cell);
    facts.sorted.push_back(*number);
  }
}

/// Counts texts such as "NA" as missing where all other cells are numbers.
void find_missing_numbers(ColumnFacts& facts) {
  std::int64_t none = 0;
  for (const auto& [value, count] : facts.values) {
    none += is_no_number(value) ? count : 0;
  }
  if (none > 0 && facts.numbers > 0 && facts.numbers + none == facts.present()) {
    facts.missing += none;
    std::erase_if(facts.values, [&](const auto& entry) {
      const bool erased = is_no_number(entry.first);
      if (erased) {
        facts.missing_as.insert(entry.first);
      }
      return erased;
    });
  }
}

}  // namespace

bool stands_for_nothing(std::string_view cell) { return is_missing(cell) || is_no_number(cell); }

double ColumnFacts::quantile(double share) const {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

const std::vector<std::string>& missing_texts() {
  static const std::vector<std::string> texts{"", "?", "\\N", "NULL", "null"};
  return texts;
}

std::vector<ColumnFacts> facts_of(const std::vector<std::string>& names,
                                  const std::vector<std::vector<std::string>>& records) {
  std::vector<ColumnFacts> all(names.size());
  for (std::size_t c = 0; c < names.size(); ++c) {
    all[c].name = names[c];
    all[c].index = static_cast<std::int64_t>(c);
    for (const std::vector<std::string>& record : records) {
      add_cell(all[c], record[c]);
    }
    find_missing_numbers(all[c]);
    std::sort(all[c].sorted.begin(), all[c].sorted.end());
  }
  return all;
}

}  // namespace keyshard
