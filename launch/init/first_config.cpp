#include "launch/init/first_config.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "io/archive_file.hpp"
#include "launch/init/text_sample.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

/// The records of a sample; lines of another number of cells are left out.
std::vector<std::vector<std::string>> records_of(const TextSyntax& syntax, const TextSample& sample,
                                                 std::int64_t skip_lines) {
  std::vector<std::vector<std::string>> records;
  const std::int64_t first = skip_lines + (syntax.header ? 1 : 0);
  for (std::size_t i = static_cast<std::size_t>(first); i < sample.lines.size(); ++i) {
    std::vector<std::string> cells = cells_of(syntax, sample.lines[i]);
    if (cells.size() == syntax.cells + 1 && cells.back().empty()) {
      cells.pop_back();
    }
    if (cells.size() == syntax.cells) {
      records.push_back(std::move(cells));
    }
  }
  return records;
}

/// A name for every column: that of the header where it is new there, else one of the index that no
/// other column has.
std::vector<std::string> column_names(const TextSyntax& syntax) {
  std::vector<std::string> names;
  const std::set<std::string> given(syntax.names.begin(), syntax.names.end());
  std::set<std::string> taken;
  for (std::size_t c = 0; c < syntax.cells; ++c) {
    std::string name = syntax.header ? syntax.names[c] : "";
    if (name.empty() || !taken.insert(name).second) {
      for (name = fmt::format("c{}", c); given.contains(name); name += "_") {
      }
    }
    names.push_back(name);
  }
  return names;
}

/// The lines to skip in the files of another split; -1: as in the training files.
std::int64_t other_skip(const TextSyntax& syntax, const std::vector<std::string>& files,
                        std::vector<TextSample>& samples) {
  if (files.empty()) {
    return -1;
  }
  samples.push_back(read_sample(files[0]));
  const std::int64_t skip = lines_to_skip(syntax, samples.back());
  return skip == syntax.skip_lines ? -1 : skip;
}

/// Adds to the cells that count as 1 those of other files which the training files lack and which
/// begin like the first, as "yes." beside "yes".
void add_positives(const FirstConfig& config, const ColumnFacts& label,
                   const std::vector<TextSample>& others, ColumnOptions& options) {
  std::set<std::string> more;
  for (const TextSample& sample : others) {
    for (const auto& record :
         records_of(config.syntax, sample, lines_to_skip(config.syntax, sample))) {
      const std::string& cell = record[static_cast<std::size_t>(label.index)];
      if (!label.values.contains(cell) && cell.starts_with(options.positive[0])) {
        more.insert(cell);
      }
    }
  }
  options.positive.insert(options.positive.end(), more.begin(), more.end());
}

/// Texts that stand for no value in all columns: the usual ones among those that were found.
std::vector<std::string> missing_in(const std::vector<ColumnFacts>& columns) {
  const std::vector<std::string>& usual = missing_texts();
  std::set<std::string> found{""};
  for (const ColumnFacts& column : columns) {
    std::copy_if(usual.begin(), usual.end(), std::inserter(found, found.end()),
                 [&](const std::string& text) { return column.missing_as.contains(text); });
  }
  return {found.begin(), found.end()};
}

/// Throws unless a column has the values of a label.
void require_label(const ColumnFacts& facts, const std::string& path) {
  require(facts.missing == 0 && facts.distinct() > 1 &&
              (facts.all_numbers() || (facts.distinct() == 2 && facts.numbers == 0)),
          Kind::bad_input,
          "{}: expected a label of numbers, or of two texts, in column \"{}\": found {} values, {} "
          "numbers among {} cells and {} missing cells; --label names another column",
          path, facts.name, facts.distinct(), facts.numbers, facts.cells, facts.missing);
}

/// Guesses every column; where none has ids, numbers become ids of their tenths.
std::vector<ColumnGuess> guess_columns(const std::vector<ColumnFacts>& facts, std::int64_t label) {
  std::vector<ColumnGuess> columns;
  for (const ColumnFacts& column : facts) {
    columns.push_back(column.index == label ? guess_label(column) : guess_feature(column));
  }
  const auto count = [&](const auto& fits) {
    return std::count_if(columns.begin(), columns.end(),
                         [&](const ColumnGuess& guess) { return fits(guess.options); });
  };
  if (count([](const ColumnOptions& options) { return options.has_ids(); }) == 0) {
    for (std::size_t c = 0; c < columns.size(); ++c) {
      if (columns[c].options.role == ColumnRole::dense) {
        columns[c] = in_buckets(facts[c]);
      }
    }
  }
  require(count([](const ColumnOptions& options) { return options.is_feature(); }) > 0,
          Kind::bad_input,
          "expected a column beside the label to learn from: found none whose values come again");
  return columns;
}

/// Whether a run of letters of a name is one of these words.
bool name_has(const std::string& name, const std::set<std::string>& words) {
  std::string word;
  for (const char c : name + " ") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (words.contains(std::exchange(word, ""))) {
      return true;
    }
  }
  return false;
}

}  // namespace

FilesBySplit files_by_split(const std::vector<std::string>& files) {
  FilesBySplit split;
  for (const std::string& file : files) {
    const ArchivePath path = archive_path(file);
    const std::string name =
        std::filesystem::path(path.entry.empty() ? path.file : path.entry).filename().string();
    std::vector<std::string>& to = name_has(name, {"valid", "validation", "val", "dev"})
                                       ? split.valid
                                   : name_has(name, {"test", "testing"}) ? split.test
                                                                         : split.train;
    to.push_back(file);
  }
  if (split.train.empty()) {
    std::swap(split.train, split.valid.empty() ? split.test : split.valid);
  }
  return split;
}

FirstConfig look_at(const FilesBySplit& files, const std::string& label) {
  FirstConfig config;
  config.files = files;
  std::vector<TextSample> others;
  TextSample sample = read_sample(files.train[0]);
  config.syntax = guess_syntax(sample);
  config.valid_skip_lines = other_skip(config.syntax, files.valid, others);
  config.test_skip_lines = other_skip(config.syntax, files.test, others);
  config.records = sample.records * static_cast<double>(files.train.size());
  const auto records = records_of(config.syntax, sample, config.syntax.skip_lines);
  const std::vector<ColumnFacts> facts = facts_of(column_names(config.syntax), records);
  const std::int64_t at = find_label(facts, label);
  require(at >= 0, Kind::bad_input,
          "{}: expected a column that can be the label (its name, two values, or ratings): found "
          "none in {}; --label COLUMN names it",
          files.train[0], joined(column_names(config.syntax), ", "));
  const ColumnFacts& of_label = facts[static_cast<std::size_t>(at)];
  require_label(of_label, files.train[0]);
  config.columns = guess_columns(facts, at);
  ColumnOptions& chosen = config.columns[static_cast<std::size_t>(at)].options;
  config.rates =
      chosen.positive.empty() && (of_label.sorted.front() < 0 || of_label.sorted.back() > 1);
  if (!chosen.positive.empty()) {
    add_positives(config, of_label, others, chosen);
  }
  config.missing = missing_in(facts);
  return config;
}

}  // namespace keyshard
