// The ids in the cells of one column of text, with the weights and the mask that stand in cells of
// other columns beside them: item i of such a cell goes with id i. An id that the mask leaves out,
// and the padding id, are in no bag.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/batch.hpp"
#include "io/data_options.hpp"
#include "io/text_number.hpp"
#include "runtime/text_keys.hpp"

namespace keyshard {

/// The cells of a record that tell the bag of one feature.
struct IdCells {
  std::string_view ids;
  std::string_view weights;  ///< where the column has id_weights
  std::string_view mask;     ///< where the column has a mask
};

/// The texts that stand for a missing cell.
class MissingTexts {
 public:
  explicit MissingTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const std::string& text : texts_) {
      lengths_ |= bit_of(text.size());
    }
  }

  /// Compares a cell only where some text is as long.
  bool has(std::string_view cell) const {
    return (lengths_ & bit_of(cell.size())) != 0 && is_listed(cell);
  }

 private:
  static std::uint64_t bit_of(std::size_t size) {
    return std::uint64_t{1} << (size < 63 ? size : 63);
  }

  bool is_listed(std::string_view cell) const;

  std::vector<std::string> texts_;
  std::uint64_t lengths_ = 0;
};

class IdsParser {
 public:
  /// Of a column of ids of `options`.
  IdsParser(const DataOptions& options, const ColumnOptions& column);

  /// Adds the id of a cell where the column has one id a cell and no other columns beside it, the
  /// cell is not missing and its id is legal. Else returns false, and parse() says what it is.
  bool add_one(std::string_view cell, Batch& batch) const {
    if (!alone_ || missing_.has(cell)) {
      return false;
    }
    const std::optional<Key> key = column_.integer ? parse_integer(cell) : keys_(cell);
    if (key && key != padding_) {
      batch.ids.push_back(*key);
    }
    return key.has_value();
  }

  /// Adds the ids of a bag, and their weights where the column has some. A cell of ids that is
  /// missing as a whole is one missing id, whose weight and mask may be missing too. Returns what
  /// is wrong with a cell, if anything; the batch then has a part of the bag.
  std::optional<std::string> parse(const IdCells& cells, Batch& batch) const;

 private:
  /// A column whose items go with the ids.
  struct Beside {
    std::string name;
    std::string separator;
    MissingTexts missing;
  };

  std::string_view separator() const;
  std::string_view item(std::string_view text) const;
  std::optional<Beside> beside(const DataOptions& options, const std::string& name) const;
  std::optional<std::string> parse_id(std::string_view id, Batch& batch) const;
  std::optional<std::string> parse_alone(std::string_view cell, Batch& batch) const;
  std::optional<std::string> parse_beside(const IdCells& cells, Batch& batch) const;
  std::optional<std::string> count_problem(const std::optional<Beside>& beside,
                                           std::string_view cell, std::int64_t ids) const;
  std::optional<std::string> parse_weight(std::string_view number, float& weight) const;
  std::optional<std::string> parse_mask(std::string_view number, bool& counts) const;

  ColumnOptions column_;
  MissingTexts missing_;
  bool trim_;
  TextKeys keys_;  // of strings
  std::optional<Key> padding_;
  std::optional<Beside> weights_, mask_;
  bool alone_;  // one id a cell, and no cells beside it
};

/// The key of a missing cell in a column with on_missing = "own".
Key missing_key(const std::string& key_space);

}  // namespace keyshard
