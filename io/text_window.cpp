#include "io/text_window.hpp"

#include <fmt/format.h>

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
    : names_(std::move(names)) {
  for (std::size_t f = 0; f < names_.size(); ++f) {
    parsers_.emplace_back(options, starts[f].header,
                          fmt::format("{}:{}", names_[f], starts[f].header_line));
  }
}

void WindowParser::add(const TextWindow& window, std::int64_t i, std::int64_t sample,
                       Batch& batch) {
  const TextPlace& place = window.place(i);
  const auto file = static_cast<std::size_t>(place.file);
  if (const auto problem = parsers_[file].parse(window.text(i), batch)) {
    if (batch.bad_lines++ == 0) {
      batch.first_bad_line = fmt::format("{}:{}: {}", names_[file], place.line, *problem);
    }
    return;
  }
  batch.sample_numbers.push_back(sample);
  batch.records.push_back(place.record);
}

}  // namespace keyshard
