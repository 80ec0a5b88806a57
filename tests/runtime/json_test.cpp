// JSON text of a tree of values and back: numbers keep their bits, keys their order.
#include "runtime/json.hpp"

#include <cmath>
#include <limits>

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

}  // namespace
}  // namespace keyshard
