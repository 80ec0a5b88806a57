#include "io/text_window.hpp"

#include <map>

#include <fmt/format.h>

#include "io/text_header.hpp"
#include "runtime/error.hpp"
#include "runtime/shown.hpp"

namespace keyshard {

void TextWindow::begin(std::int64_t number) {
  number_ = number;
  bytes_.clear();
  ends_.clear();
  places_.clear();
  order_.clear();
}

void TextWindow::add(std::string_view text, const TextPlace& place) {
  bytes_.append(text);
  ends_.push_back(bytes_.size());
  places_.push_back(place);
}

std::string_view TextWindow::text(std::int64_t i) const {
  const std::size_t record = order_[static_cast<std::size_t>(i)];
  const std::size_t begin = record == 0 ? 0 : ends_[record - 1];
  return std::string_view(bytes_).substr(begin, ends_[record] - begin);
}

void TextWindow::prefetch(std::int64_t i) const {
  constexpr std::size_t kLine = 64;
  if (i < size()) {
    const std::string_view record = text(i);
    for (std::size_t at = 0; at < record.size(); at += kLine) {
      __builtin_prefetch(record.data() + at);
    }
  }
}

WindowParser::WindowParser(const DataOptions& options, std::vector<std::string> names,
                           const std::vector<TextStart>& starts)
    : names_(std::move(names)), parser_of_(names_.size()) {
  std::map<std::string_view, std::size_t> parsers;  // by the header
  const bool by_index = options.header && all_by_index(options);
  std::string first_place;
  for (std::size_t f = 0; f < names_.size(); ++f) {
    const TextStart& start = starts[f];
    if (start.empty) {
      continue;
    }
    const std::string place = fmt::format(
        "{}:{}", names_[f], options.header ? start.header_line : start.first_record_line);
    const auto [found, added] = parsers.emplace(start.header, parsers_.size());
    require(!by_index || !added || parsers_.empty(), Kind::bad_input,
            "{}: expected the header of {}, for every column has an index: found \"{}\"", place,
            first_place, shown(start.header));
    if (added) {
      parsers_.emplace_back(options, options.header ? start.header : start.first_record, place);
      first_place = place;
    }
    parser_of_[f] = found->second;
  }
}

void WindowParser::add(const TextWindow& window, std::int64_t i, std::int64_t sample,
                       Batch& batch) {
  const TextPlace& place = window.place(i);
  const auto file = static_cast<std::size_t>(place.file);
  if (const auto problem = parsers_[parser_of_[file]].parse(window.text(i), batch)) {
    if (batch.bad_lines++ == 0) {
      batch.first_bad_line = fmt::format("{}:{}: {}", names_[file], place.line, *problem);
    }
    return;
  }
  batch.sample_numbers.push_back(sample);
  batch.records.push_back(place.record);
}

}  // namespace keyshard
