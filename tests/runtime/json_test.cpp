// JSON text of a tree of values and back: numbers keep their bits, keys their order.
#include "runtime/json.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

TEST(Json, KeepsTheOrderOfKeysOnOneLine) {
  const SettingValue tree = value_of(SettingValue::Table{
      {"step", value_of(std::int64_t{3})},
      {"auc", value_of(0.5)},
      {"best", value_of(true)},
      {"kind", value_of(std::string("a \"b\"\n"))},
      {"list", value_of(SettingValue::Array{value_of(std::int64_t{1}), SettingValue()})}});
  EXPECT_EQ(json_text(tree),
            R"({"step":3,"auc":0.5,"best":true,"kind":"a \"b\"\n","list":[1,null]})");
}

TEST(Json, NumbersComeBackAsTheyWere) {
  for (const double number : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 3.0, -0.0}) {
    const SettingValue back = parse_json(json_text(value_of(number)), "test");
    ASSERT_TRUE(std::holds_alternative<double>(back.value)) << number;
    EXPECT_EQ(std::get<double>(back.value), number);
    EXPECT_EQ(std::signbit(std::get<double>(back.value)), std::signbit(number));
  }
  for (const std::int64_t number : {std::numeric_limits<std::int64_t>::min(),
                                    std::numeric_limits<std::int64_t>::max(), std::int64_t{0}}) {
    EXPECT_EQ(std::get<std::int64_t>(parse_json(json_text(value_of(number)), "test").value),
              number);
  }
  // An integer that no int64 holds does not wrap.
  EXPECT_EQ(std::get<double>(parse_json("18446744073709551615", "test").value), 0x1p64);
}

TEST(Json, WhatIsNoNumberIsNull) {
  EXPECT_EQ(json_text(value_of(std::nan(""))), "null");
  EXPECT_EQ(json_text(value_of(-std::numeric_limits<double>::infinity())), "null");
}

TEST(Json, DamagedTextIsRefusedWithItsPlace) {
  try {
    parse_json("{\"a\": 1", "job/manifest.json");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_TRUE(error.text().starts_with("job/manifest.json: expected JSON: ")) << error.text();
  }
}

/// The message about a text that is refused.
std::string refusal(const std::string& text) {
  try {
    parse_json(text, "place");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    return error.text();
  }
  return "";
}

TEST(Json, AMemberThatStandsTwiceIsRefused) {
  EXPECT_EQ(refusal(R"({"a": {"b": 1, "c": 2, "b": 3}})"),
            "place: expected JSON: found \"b\" twice");
  EXPECT_EQ(refusal(R"({"a": {"b": 1}, "b": 3})"), "");
}

TEST(Json, HasAtMostOneHundredValuesInsideOneAnother) {
  EXPECT_EQ(refusal(std::string(100, '[') + std::string(100, ']')), "");
  EXPECT_EQ(refusal(std::string(101, '[') + std::string(101, ']')),
            "place: expected JSON: found more than 100 values inside one another");
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) {
    objects += "{\"\":";
  }
  EXPECT_NE(refusal(objects), "");
}

/// A text in pieces of so many letters; `given` counts them.
TextSource in_pieces(const std::string& text, std::int64_t letters, std::int64_t* given = nullptr) {
  return [&text, letters, given, at = std::int64_t{0}]() mutable {
    const Span<const char> rest = Span<const char>(text).subspan(at);
    const Span<const char> piece = rest.first(std::min(letters, std::int64_t{rest.size()}));
    at += piece.size();
    if (given != nullptr) {
      *given = at;
    }
    return piece;
  };
}

SettingValue parse_in_parts(const std::string& text, const std::string& place,
                            const JsonParts& parts) {
  return parse_json_in_parts(in_pieces(text, 7), place, parts);
}

JsonParts at_most(std::int64_t values) {
  JsonParts parts;
  parts.most_values = values;
  return parts;
}

TEST(Json, ValuesKeepTheirPlaceOrTheOneThatIsAskedFor) {
  const std::string text = R"({"list": [1, {"name": "x"}]})";
  for (const std::string& place : {std::string("file.json"), std::string()}) {
    const SettingValue tree =
        place.empty() ? parse_in_parts(text, "file.json", at_most(5)) : parse_json(text, place);
    const auto& list = std::get<SettingValue::Array>(member_of(tree, "list")->value);
    EXPECT_EQ(tree.place, place);
    EXPECT_EQ(list[0].place, place);
    EXPECT_EQ(member_of(list[1], "name")->place, place);
    EXPECT_EQ(as_text(*member_of(list[1], "name")), "x");
  }
}

/// What parse_json_in_parts says; empty: nothing.
std::string refusal_in_parts(const TextSource& text, const JsonParts& parts) {
  try {
    parse_json_in_parts(text, "m", parts);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    return error.text();
  }
  return "";
}

std::string refusal_in_parts(const std::string& text, const JsonParts& parts) {
  return refusal_in_parts(in_pieces(text, 7), parts);
}

TEST(Json, MoreValuesThanAreAllowedAreRefused) {
  const std::string text = R"({"list": [1, {"name": "x"}]})";  // five values
  EXPECT_EQ(refusal_in_parts(text, at_most(5)), "");
  EXPECT_EQ(refusal_in_parts(text, at_most(4)), "m: expected JSON: found more than 4 values");
}

TEST(Json, PiecesOfAnySizeAreTheSameText) {
  const std::string text =
      R"({"a": [1, -2.5e3, "b\u00e4\"c"], "long": {"name": null}, "t": true} )";
  for (const std::int64_t letters : {1, 2, 3, 5, 8, 13, 100}) {
    EXPECT_EQ(json_text(parse_json_in_parts(in_pieces(text, letters), "m", at_most(8))),
              json_text(parse_json(text, "m")))
        << letters;
  }
  EXPECT_EQ("place" + refusal_in_parts("[1, x]", at_most(9)).substr(1), refusal("[1, x]"));
}

TEST(Json, LongTextsAndNamesCountAsSeveralValues) {
  const std::string letters(320, 'x');  // ten values more
  for (const std::string& text :
       {fmt::format("[\"{}\"]", letters), fmt::format("{{\"{}\":0}}", letters)}) {
    EXPECT_EQ(refusal_in_parts(text, at_most(12)), "") << text;
    EXPECT_EQ(refusal_in_parts(text, at_most(11)), "m: expected JSON: found more than 11 values");
  }
}

TEST(Json, ATextThatHasNoRoomIsNotReadToItsEnd) {
  const std::string many(1'000'000, '7'), blank(1'000'000, ' ');
  for (const std::string& text : {"[\"" + many + "\"]", "[" + many + "]", "[" + blank + "]",
                                  "{\"" + many + "\":0}", "\"" + many, blank}) {
    std::int64_t given = 0;
    EXPECT_EQ(refusal_in_parts(in_pieces(text, 1'000, &given), at_most(100)),
              "m: expected JSON: found more than 100 values");
    EXPECT_LE(given, 32 * 101 + 2 * 1'000);
  }
}

TEST(Json, EntriesOfAListAreTakenOneByOneAndLeaveNothingInTheTree) {
  const std::string text =
      R"({"a": 1, "list": [1, {"list": [2, 3]}, [[4]], "x"], "b": {"list": [5]}, "others": []})";
  std::vector<std::string> taken;
  JsonParts parts = at_most(100);
  parts.lists = {"list", "others"};
  parts.take = [&](const SettingValue& root, const SettingValue& entry) {
    taken.push_back(json_text(root) + " " + json_text(entry));
    return 0;
  };
  EXPECT_EQ(json_text(parse_in_parts(text, "m", parts)),
            R"({"a":1,"list":[],"b":{"list":[5]},"others":[]})");
  const std::string root = R"({"a":1,"list":[]} )";
  EXPECT_EQ(taken, (std::vector<std::string>{root + "1", root + R"({"list":[2,3]})", root + "[[4]]",
                                             root + R"("x")"}));
}

TEST(Json, CountsTheValuesThatAreThereAtOnceAndThoseThatWereKept) {
  // The root, a list and an entry: its own list, and two numbers.
  const std::string text = R"({"list": [[1, 2], [3, 4], [5, 6]]})";
  for (const std::int64_t kept : {0, 2}) {
    JsonParts parts = at_most(5 + 2 * kept);
    parts.lists = {"list"};
    parts.take = [&](const SettingValue&, const SettingValue&) { return kept; };
    EXPECT_EQ(refusal_in_parts(text, parts), "");
    --parts.most_values;
    EXPECT_NE(refusal_in_parts(text, parts), "") << kept;
  }
}

TEST(Json, TextAfterItsEndIsRefused) {
  EXPECT_NE(refusal("{} {}"), "");
  EXPECT_NE(refusal(""), "");
  EXPECT_NE(refusal("[1,]"), "");
}

}  // namespace
}  // namespace keyshard
