#include "launch/init/column_guess.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "io/text_number.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/settings.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::isalnum(c) != 0 ? std::tolower(c) : '_');
  });
  return text;
}

/// Whether a word of a name, between "_" and other signs, is one of these.
bool has_word(const std::string& name, const std::set<std::string>& words) {
  const std::string low = lower(name);
  std::size_t begin = 0;
  for (std::size_t end = 0; end <= low.size(); ++end) {
    if (end == low.size() || low[end] == '_') {
      if (words.contains(low.substr(begin, end - begin))) {
        return true;
      }
      begin = end + 1;
    }
  }
  return words.contains(low);
}

const std::set<std::string>& label_names() {
  static const std::set<std::string> names{
      "label",      "labels",    "click",    "clicked",   "clicks",  "target",  "y",
      "conversion", "converted", "purchase", "purchased", "rating",  "ratings", "stars",
      "income",     "outcome",   "response", "churn",     "is_click"};
  return names;
}

bool is_named_id(const std::string& name) {
  return has_word(name, {"id", "ids", "user", "users", "item", "items", "code", "type", "category",
                         "cat", "class", "group", "zip", "postcode", "device", "site", "app"}) ||
         lower(name).ends_with("id");
}

bool is_named_number(const std::string& name) {
  return has_word(name,
                  {"age",  "price", "amount",   "count",  "num",  "number", "hours",  "score",
                   "year", "years", "duration", "length", "size", "weight", "height", "gain",
                   "loss", "rate",  "ratio",    "avg",    "mean", "sum",    "total",  "balance"});
}

bool is_named_time(const std::string& name) {
  return has_word(name, {"time", "timestamp", "ts", "date", "datetime", "created", "updated"});
}

/// 0 and 1, or two numbers that can be.
bool is_binary(const ColumnFacts& facts) {
  return facts.missing == 0 && facts.all_numbers() && facts.distinct() == 2 &&
         facts.sorted.front() == 0 && facts.sorted.back() == 1;
}

bool is_rating(const ColumnFacts& facts) {
  return facts.missing == 0 && facts.all_numbers() && facts.distinct() > 2 &&
         facts.distinct() <= 10 && facts.sorted.front() >= 0 && facts.sorted.back() <= 10 &&
         facts.sorted.back() >= 4;
}

bool is_two_texts(const ColumnFacts& facts) {
  return facts.missing == 0 && facts.distinct() == 2 && facts.numbers == 0;
}

bool can_be_label(const ColumnFacts& facts) {
  return facts.missing == 0 && (facts.all_numbers() || is_two_texts(facts)) && facts.distinct() > 1;
}

std::string records_of(const ColumnFacts& facts) {
  return fmt::format("{} values in {} records{}", facts.distinct(), facts.cells,
                     facts.missing > 0 ? fmt::format(", {} missing", facts.missing) : "");
}

ColumnGuess guess_of(const ColumnFacts& facts, ColumnRole role, const std::string& why) {
  ColumnGuess guess;
  guess.options.name = facts.name;
  guess.options.index = facts.index;
  guess.options.role = role;
  const std::vector<std::string>& usual = missing_texts();
  if (std::any_of(facts.missing_as.begin(), facts.missing_as.end(), [&](const std::string& text) {
        return std::find(usual.begin(), usual.end(), text) == usual.end();
      })) {
    guess.options.missing =
        std::vector<std::string>(facts.missing_as.begin(), facts.missing_as.end());
  }
  guess.why = why;
  return guess;
}

/// The separator of lists in the cells, if most values of the column are made of fewer parts.
std::optional<std::string> list_separator_of(const ColumnFacts& facts) {
  for (const char* separator : {"|", ";", ",", " ", ":"}) {
    std::set<std::string> parts;
    std::int64_t lists = 0, all = 0;
    for (const auto& [value, count] : facts.values) {
      lists += value.find(separator) != std::string::npos ? count : 0;
      for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
        end = value.find(separator, begin);
        parts.insert(value.substr(begin, end == std::string::npos ? end : end - begin));
        ++all;
      }
    }
    if (lists * 5 > facts.present() && std::ssize(parts) * 2 < all) {
      return separator;
    }
  }
  return std::nullopt;
}

/// Whether numbers are amounts of which most are small and a few are large, and no codes: there are
/// gaps among the large ones.
bool is_skewed(const ColumnFacts& facts) {
  const double least = facts.sorted.front(), most = facts.sorted.back();
  const double zero =
      static_cast<double>(std::count(facts.sorted.begin(), facts.sorted.end(), 0.0));
  const bool gaps = static_cast<double>(facts.distinct()) * 2 < most - least + 1;
  return least >= -10 && facts.distinct() > 20 && facts.quantile(0.8) * 5 < most &&
         (gaps || zero * 5 > 2 * static_cast<double>(facts.present()));
}

ColumnGuess dense_of(const ColumnFacts& facts, const std::string& why) {
  ColumnGuess guess = guess_of(facts, ColumnRole::dense, why + "; " + records_of(facts));
  if (is_skewed(facts)) {
    guess.options.transform = DenseTransform::log;
    return guess;
  }
  double sum = 0, squares = 0;
  for (const double value : facts.sorted) {
    sum += value;
  }
  const double count = static_cast<double>(facts.sorted.size()), mean = sum / count;
  for (const double value : facts.sorted) {
    squares += (value - mean) * (value - mean);
  }
  if (const double stddev = std::sqrt(squares / count); stddev > 0 && std::isfinite(stddev)) {
    guess.options.transform = DenseTransform::standard;
    guess.options.mean = mean;
    guess.options.stddev = stddev;
  }
  return guess;
}

ColumnGuess ids_of(const ColumnFacts& facts, const std::string& why) {
  ColumnGuess guess = guess_of(facts, ColumnRole::id, why + "; " + records_of(facts));
  guess.options.integer = facts.all_integers();
  guess.options.missing_is_id = facts.missing > 0;
  return guess;
}

ColumnGuess guess_numbers(const ColumnFacts& facts) {
  const bool spread = facts.distinct() * 2 > facts.present() && facts.distinct() > 100;
  if (!facts.all_integers()) {
    return dense_of(facts, "decimal numbers");
  }
  if (is_named_id(facts.name)) {
    return ids_of(facts, "integers under the name of an id");
  }
  if (is_named_number(facts.name)) {
    return dense_of(facts, "integers under the name of a number");
  }
  if (is_skewed(facts)) {
    return dense_of(facts, "integers, most of them small: amounts");
  }
  return spread ? dense_of(facts, "integers that seldom come again: amounts")
                : ids_of(facts, facts.sorted.back() < 1e9
                                    ? "integers; role = \"dense\" if their size matters"
                                    : "integers");
}

/// Why a column is of no use to a model; empty: it may be.
std::string reason_to_ignore(const ColumnFacts& facts) {
  if (facts.present() == 0) {
    return "no cell has a value";
  }
  if (facts.distinct() == 1 && facts.missing == 0) {
    return fmt::format("all cells are \"{}\"", shown(facts.values.begin()->first));
  }
  const bool integers = facts.numbers == 0 || facts.all_integers();
  if (facts.distinct() == facts.present() && facts.present() > 50 && integers) {
    return "every record has a value of its own: nothing can be learned from it";
  }
  const bool seconds = facts.all_integers() && facts.distinct() > 100 &&
                       facts.sorted.front() > 5e8 && facts.sorted.back() < 2.5e12;
  if (seconds || (is_named_time(facts.name) && facts.distinct() > 100)) {
    return "a time, which new data will not have again";
  }
  return "";
}

}  // namespace

std::int64_t find_label(const std::vector<ColumnFacts>& columns, const std::string& named) {
  if (!named.empty()) {
    std::vector<std::string> names;
    for (const ColumnFacts& facts : columns) {
      names.push_back(facts.name);
      if (facts.name == named) {
        return facts.index;
      }
    }
    fail(Kind::invalid_argument, "--label: expected a column of {}: found \"{}\"{}",
         joined(names, ", "), named, did_you_mean(named, names));
  }
  const auto first = [&](const auto& fits) {
    const auto found = std::find_if(columns.begin(), columns.end(), fits);
    return found == columns.end() ? -1 : found->index;
  };
  const ColumnFacts& last = columns.back();
  const std::int64_t by_name = first([](const ColumnFacts& f) {
    return label_names().contains(lower(f.name)) && can_be_label(f);
  });
  const std::int64_t by_word = first(
      [](const ColumnFacts& f) { return has_word(f.name, label_names()) && can_be_label(f); });
  return by_name >= 0                            ? by_name
         : by_word >= 0                          ? by_word
         : is_binary(columns[0])                 ? 0
         : is_binary(last) || is_two_texts(last) ? last.index
         : first(is_binary) >= 0                 ? first(is_binary)
         : is_rating(last)                       ? last.index
                                                 : first(is_rating);
}

ColumnGuess guess_label(const ColumnFacts& facts) {
  ColumnGuess guess = guess_of(facts, ColumnRole::label, records_of(facts));
  if (is_binary(facts)) {
    guess.why +=
        fmt::format(", {} of them 1", std::count(facts.sorted.begin(), facts.sorted.end(), 1.0));
  } else if (facts.distinct() == 2 && facts.all_numbers()) {
    for (const auto& [value, count] : facts.values) {
      if (parse_number(value) == facts.sorted.back()) {
        guess.options.positive = {value};
        guess.why += fmt::format(", of which {}, the greater one, counts as 1", value);
      }
    }
  } else if (facts.distinct() == 2) {
    const auto rarest = std::min_element(
        facts.values.begin(), facts.values.end(), [](const auto& a, const auto& b) {
          return std::tie(a.second, a.first) < std::tie(b.second, b.first);
        });
    guess.options.positive = {rarest->first};
    guess.why += fmt::format(", of which \"{}\", the rarer one, counts as 1", shown(rarest->first));
  }
  return guess;
}

ColumnGuess guess_feature(const ColumnFacts& facts) {
  if (const std::string reason = reason_to_ignore(facts); !reason.empty()) {
    return guess_of(facts, ColumnRole::ignore, reason);
  }
  if (facts.all_numbers() && !facts.codes) {
    return guess_numbers(facts);
  }
  if (const std::optional<std::string> separator = list_separator_of(facts)) {
    ColumnGuess guess = ids_of(facts, "lists of ids");
    guess.options.role = ColumnRole::ids;
    guess.options.integer = false;
    guess.options.list_separator = *separator;
    return guess;
  }
  return ids_of(facts, facts.numbers > 0 ? "texts, some of them digits" : "texts");
}

ColumnGuess in_buckets(const ColumnFacts& facts) {
  ColumnGuess guess = dense_of(facts, "numbers in tenths, for the model needs ids");
  guess.options.transform = DenseTransform::none;
  for (int tenth = 1; tenth < 10; ++tenth) {
    guess.options.buckets.push_back(facts.quantile(0.1 * tenth));
  }
  std::vector<double>& buckets = guess.options.buckets;
  buckets.erase(std::unique(buckets.begin(), buckets.end()), buckets.end());
  return guess;
}

}  // namespace keyshard
