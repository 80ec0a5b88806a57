#include "io/text_ids.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "io/text_cells.hpp"
#include "runtime/digest.hpp"
#include "runtime/hash.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

/// The items of a cell, one after another; without a separator the cell is one item.
class Items {
 public:
  Items(std::string_view cell, std::string_view separator) : cell_(cell), separator_(separator) {}

  bool done() const { return at_ > cell_.size(); }

  std::string_view next() {
    const std::size_t end =
        separator_.empty() ? cell_.size() : std::min(cell_.find(separator_, at_), cell_.size());
    const std::string_view item = cell_.substr(at_, end - at_);
    at_ = end + std::max<std::size_t>(separator_.size(), 1);
    return item;
  }

 private:
  std::string_view cell_, separator_;
  std::size_t at_ = 0;
};

std::int64_t count_items(std::string_view cell, std::string_view separator) {
  std::int64_t count = 0;
  for (Items items(cell, separator); !items.done(); items.next()) {
    ++count;
  }
  return count;
}

}  // namespace

Key missing_key(const std::string& key_space) { return hash_of(hash_bytes(key_space), 0x3155146); }

bool MissingTexts::is_listed(std::string_view cell) const {
  for (const std::string& text : texts_) {
    if (text == cell) {
      return true;
    }
  }
  return false;
}

IdsParser::IdsParser(const DataOptions& options, const ColumnOptions& column)
    : column_(column),
      missing_(options.missing_of(column)),
      trim_(options.trim),
      keys_(column.key_space, column.hash),
      padding_(column.padding_key()),
      weights_(beside(options, column.id_weights)),
      mask_(beside(options, column.mask)),
      alone_(column.role == ColumnRole::id && !weights_ && !mask_) {}

/// The column of that name, which read_data_options has checked; nothing for no name.
std::optional<IdsParser::Beside> IdsParser::beside(const DataOptions& options,
                                                   const std::string& name) const {
  for (const ColumnOptions& other : options.columns) {
    if (!name.empty() && other.name == name) {
      return Beside{name, other.list_separator, MissingTexts(options.missing_of(other))};
    }
  }
  return std::nullopt;
}

std::string_view IdsParser::separator() const {
  return column_.role == ColumnRole::ids ? std::string_view(column_.list_separator)
                                         : std::string_view();
}

std::string_view IdsParser::item(std::string_view text) const {
  return trim_ ? trimmed(text) : text;
}

std::optional<std::string> IdsParser::parse_id(std::string_view id, Batch& batch) const {
  if (missing_.has(id)) {
    if (column_.missing_is_id) {
      batch.ids.push_back(missing_key(column_.key_space));
    }
    return std::nullopt;
  }
  const std::optional<Key> key = column_.integer ? parse_integer(id) : std::optional(keys_(id));
  if (!key) {
    return fmt::format("column \"{}\": expected an integer of 64 bits: found \"{}\"", column_.name,
                       shown(id));
  }
  if (key != padding_) {
    batch.ids.push_back(*key);
  }
  return std::nullopt;
}

std::optional<std::string> IdsParser::parse_alone(std::string_view cell, Batch& batch) const {
  if (column_.role == ColumnRole::id || missing_.has(cell)) {
    return parse_id(cell, batch);
  }
  std::optional<std::string> problem;
  std::int64_t length = 0;
  for (Items ids(cell, column_.list_separator);
       !problem && !ids.done() && (column_.max_length == 0 || length < column_.max_length);
       ++length) {
    problem = parse_id(item(ids.next()), batch);
  }
  return problem;
}

/// What is wrong with a cell that has another number of items than there are ids.
std::optional<std::string> IdsParser::count_problem(const std::optional<Beside>& beside,
                                                    std::string_view cell, std::int64_t ids) const {
  const std::int64_t found = beside ? count_items(cell, beside->separator) : ids;
  return found == ids ? std::nullopt
                      : std::optional(fmt::format(
                            "column \"{}\": expected an item for each of the {} ids of column "
                            "\"{}\": found {}",
                            beside->name, ids, column_.name, found));
}

std::optional<std::string> IdsParser::parse_weight(std::string_view number, float& weight) const {
  const std::optional<double> value = parse_number(number);
  weight = static_cast<float>(value.value_or(0));
  return value && std::isfinite(weight)
             ? std::nullopt
             : std::optional(
                   fmt::format("column \"{}\": expected a weight that is finite as float32: "
                               "found \"{}\"",
                               weights_->name, shown(number)));
}

std::optional<std::string> IdsParser::parse_mask(std::string_view number, bool& counts) const {
  counts = number == "1";
  return counts || number == "0"
             ? std::nullopt
             : std::optional(fmt::format("column \"{}\": expected 1 for an id that counts and 0 "
                                         "for one that does not: found \"{}\"",
                                         mask_->name, shown(number)));
}

std::optional<std::string> IdsParser::parse_beside(const IdCells& cells, Batch& batch) const {
  const bool none = missing_.has(cells.ids);
  const bool weighted = weights_ && !(none && weights_->missing.has(cells.weights));
  const bool masked = mask_ && !(none && mask_->missing.has(cells.mask));
  const std::string_view between = none ? std::string_view() : separator();
  const std::int64_t n = count_items(cells.ids, between);
  std::optional<std::string> problem =
      weighted ? count_problem(weights_, cells.weights, n) : std::nullopt;
  if (!problem && masked) {
    problem = count_problem(mask_, cells.mask, n);
  }
  const auto between_of = [](const std::optional<Beside>& beside) {
    return beside ? std::string_view(beside->separator) : std::string_view();
  };
  Items ids(cells.ids, between), weights(cells.weights, between_of(weights_)),
      mask(cells.mask, between_of(mask_));
  for (std::int64_t i = 0; !problem && i < n; ++i) {
    if (column_.max_length > 0 && i == column_.max_length) {
      break;
    }
    float weight = 1;
    bool counts = true;
    const std::string_view id = item(ids.next());
    problem = weighted ? parse_weight(item(weights.next()), weight) : std::nullopt;
    if (!problem && masked) {
      problem = parse_mask(item(mask.next()), counts);
    }
    if (!problem && counts) {
      problem = parse_id(id, batch);
    }
    if (weights_) {
      batch.id_weights.resize(batch.ids.size(), weight);
    }
  }
  return problem;
}

std::optional<std::string> IdsParser::parse(const IdCells& cells, Batch& batch) const {
  if (!weights_ && !mask_) {
    return parse_alone(cells.ids, batch);
  }
  if (weights_) {
    batch.id_weights.resize(batch.ids.size(), 1);  // of the features before this one
  }
  return parse_beside(cells, batch);
}

}  // namespace keyshard
