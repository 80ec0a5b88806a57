#include "runtime/json.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using Json = nlohmann::ordered_json;

/// Values inside one another: far more than any file of ours has, and few enough for functions that
/// call themselves.
constexpr std::size_t kDepthLimit = 100;

Json to_json(const SettingValue& value) {
  struct Convert {
    Json operator()(std::monostate) const { return nullptr; }

    Json operator()(bool b) const { return b; }

    Json operator()(std::int64_t i) const { return i; }

    Json operator()(double d) const { return std::isfinite(d) ? Json(d) : Json(nullptr); }

    Json operator()(const std::string& s) const { return s; }

    Json operator()(const SettingValue::Array& values) const {
      Json array = Json::array();
      for (const SettingValue& entry : values) {
        array.push_back(to_json(entry));
      }
      return array;
    }

    Json operator()(const SettingValue::Table& values) const {
      Json object = Json::object();
      auto& members = object.get_ref<Json::object_t&>();
      for (const auto& [name, entry] : values) {
        members.emplace_back(name, to_json(entry));  // without a look at all members before it
      }
      return object;
    }
  };

  return std::visit(Convert{}, value.value);
}

/// Builds a tree from the events of the parser, which knows no depth and keeps no text.
class TreeBuilder final : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(const std::string& place, const JsonParts& parts) : place_(place), parts_(parts) {}

  SettingValue take() { return std::move(root_); }

  /// What was wrong; empty: nothing.
  const std::string& problem() const { return problem_; }

  /// The parser has read a piece of so many letters, which it keeps where no value has ended in
  /// it. Returns whether there is room for more.
  bool has_read(std::int64_t letters) {
    letters_ = std::exchange(value_ended_, false) ? 0 : letters_ + letters;
    return has_room();
  }

  bool null() override { return put(std::monostate()); }

  bool boolean(bool value) override { return put(value); }

  bool number_integer(number_integer_t value) override { return put(value); }

  bool number_unsigned(number_unsigned_t value) override {
    // No setting is an integer of more than 63 bits.
    return value > std::uint64_t{INT64_MAX} ? put(static_cast<double>(value))
                                            : put(static_cast<std::int64_t>(value));
  }

  bool number_float(number_float_t value, const string_t&) override { return put(value); }

  bool string(string_t& value) override {
    return is_counted(std::ssize(value) / kLettersOfValue) && put(std::move(value));
  }

  bool binary(binary_t&) override { return refuse("found binary data"); }

  bool start_object(std::size_t) override { return open(SettingValue::Table()); }

  bool start_array(std::size_t) override { return open(SettingValue::Array()); }

  bool key(string_t& name) override {
    if (!is_counted(std::ssize(name) / kLettersOfValue)) {
      return false;
    }
    std::get<SettingValue::Table>(open_.back()->value)
        .emplace_back(std::move(name), SettingValue());
    return true;
  }

  bool end_object() override {
    std::vector<std::string_view> names;
    for (const auto& member : std::get<SettingValue::Table>(open_.back()->value)) {
      names.push_back(member.first);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    return twice == names.end() ? close() : refuse(fmt::format("found \"{}\" twice", *twice));
  }

  bool end_array() override { return close(); }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) override {
    return refuse(error.what());
  }

 private:
  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  bool has_room() {
    return values_ + letters_ / kLettersOfValue <= parts_.most_values ||
           refuse(fmt::format("found more than {} values", parts_.most_values));
  }

  SettingValue& place_of_next() {
    if (open_.empty()) {
      return root_;
    }
    if (auto* list = std::get_if<SettingValue::Array>(&open_.back()->value)) {
      return list->emplace_back();
    }
    return std::get<SettingValue::Table>(open_.back()->value).back().second;
  }

  bool is_counted(std::int64_t values) {
    values_ += values;
    value_ended_ = true;
    letters_ = 0;
    return has_room();
  }

  /// Whether the entries of the list that begins now are taken.
  bool is_taken() const {
    const auto* members =
        open_.size() == 2 ? std::get_if<SettingValue::Table>(&root_.value) : nullptr;
    return members != nullptr && std::find(parts_.lists.begin(), parts_.lists.end(),
                                           members->back().first) != parts_.lists.end();
  }

  /// A value has ended: hands it over where it is an entry of a list that is taken.
  bool end_value() {
    if (taken_ != nullptr && open_.back() == taken_) {
      auto& entries = std::get<SettingValue::Array>(taken_->value);
      const SettingValue entry = std::move(entries.back());
      entries.pop_back();
      kept_ += parts_.take(root_, entry);
      values_ = values_of_tree_ + kept_;
    }
    return true;
  }

  bool put(SettingValue::Variant value) {
    if (!is_counted(1)) {
      return false;
    }
    SettingValue& next = place_of_next();
    next.value = std::move(value);
    next.place = place_;
    return end_value();
  }

  bool open(SettingValue::Variant value) {
    if (!is_counted(1)) {
      return false;
    }
    if (open_.size() == kDepthLimit) {
      return refuse(fmt::format("found more than {} values inside one another", kDepthLimit));
    }
    SettingValue& next = place_of_next();
    next.value = std::move(value);
    next.place = place_;
    open_.push_back(&next);  // stays where it is: nothing joins its list before it is closed
    if (is_taken() && std::holds_alternative<SettingValue::Array>(next.value)) {
      taken_ = &next;
      values_of_tree_ = values_ - kept_;
    }
    return true;
  }

  bool close() {
    taken_ = open_.back() == taken_ ? nullptr : taken_;
    open_.pop_back();
    return open_.empty() || end_value();
  }

  const std::string& place_;
  const JsonParts& parts_;
  std::int64_t values_ = 0;          // in memory, with those that were kept
  std::int64_t values_of_tree_ = 0;  // where a list is taken, those that stay in the tree
  std::int64_t kept_ = 0;
  std::int64_t letters_ = 0;  // of whole pieces that the parser keeps
  bool value_ended_ = false;  // in the piece that is being read
  SettingValue root_;
  SettingValue* taken_ = nullptr;  // the list whose entries are taken
  std::vector<SettingValue*> open_;
  std::string problem_;
};

/// A text that comes piece by piece.
struct Letters {
  const TextSource& pieces;
  TreeBuilder& builder;
  const std::string& place;
  Span<const char> piece = {};
  const char* at = nullptr;
  const char* end = nullptr;

  /// Whether `at` is a letter.
  bool more() {
    if (at == end) {
      require(builder.has_read(piece.size()), Kind::corrupt_data, "{}: expected JSON: {}", place,
              builder.problem());
      piece = pieces();
      at = piece.data();
      end = at + piece.size();
    }
    return at != end;
  }
};

/// Goes over the letters of a text once, as the parser wants it.
struct LetterIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Letters* letters = nullptr;  // none: the end

  reference operator*() const { return *letters->at; }

  LetterIterator& operator++() {
    ++letters->at;
    return *this;
  }

  bool operator!=(const LetterIterator&) const { return letters->more(); }
};

/// A text as one piece.
TextSource one_piece(const std::string& text) {
  return [piece = Span<const char>(text)]() mutable { return std::exchange(piece, {}); };
}

SettingValue parsed(const TextSource& text, const std::string& place,
                    const std::string& place_of_values, const JsonParts& parts) {
  TreeBuilder builder(place_of_values, parts);
  Letters letters{text, builder, place};
  const bool good = Json::sax_parse(LetterIterator{&letters}, LetterIterator{}, &builder);
  require(good, Kind::corrupt_data, "{}: expected JSON: {}", place, builder.problem());
  return builder.take();
}

}  // namespace

std::string json_text(const SettingValue& tree, bool indented) {
  return to_json(tree).dump(indented ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

SettingValue parse_json(const std::string& text, const std::string& place) {
  JsonParts all;
  all.most_values = std::numeric_limits<std::int64_t>::max();
  return parsed(one_piece(text), place, place, all);
}

SettingValue parse_json_in_parts(const TextSource& text, const std::string& place,
                                 const JsonParts& parts) {
  return parsed(text, place, "", parts);
}

}  // namespace keyshard
