// Trees of values as programs make them and read them back.
#include "runtime/setting_value.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

/// What reading refuses a value with.
std::string refusal(const auto& read) {
  try {
    read();
  } catch (const Error& error) {
    return error.kind() == Kind::corrupt_data ? error.text() : "of another kind: " + error.text();
  }
  return "";
}

SettingValue some_tree() {
  const SettingValue inner = value_of(SettingValue::Table{{"rows", value_of(std::int64_t{7})}});
  return value_of(SettingValue::Table{{"name", value_of("users")},
                                      {"tables", value_of(SettingValue::Array{inner, inner})},
                                      {"widths", value_of(std::vector<std::int64_t>{3, 1})},
                                      {"rate", value_of(0.5)}});
}

TEST(ValueReader, FindsWhatWasBuilt) {
  const SettingValue tree = some_tree();
  const ValueReader root(tree, "m.json");
  EXPECT_EQ(root.at("name").text(), "users");
  EXPECT_EQ(root.at("rate").real(), 0.5);
  ASSERT_EQ(root.at("tables").entries().size(), 2u);
  EXPECT_EQ(root.at("tables").entries()[1].at("rows").integer(), 7);
  EXPECT_EQ(root.at("widths").entries(2)[0].integer(0, 3), 3);
}

TEST(ValueReader, RefusesWithThePath) {
  const SettingValue tree = some_tree();
  const ValueReader root(tree, "m.json");
  EXPECT_EQ(refusal([&] { root.at("tables").entries()[1].at("row"); }),
            "m.json.tables[1]: expected a member row: found none");
  EXPECT_EQ(refusal([&] { root.at("name").at("x"); }),
            "m.json.name: expected an object: found something else");
  EXPECT_EQ(refusal([&] { root.at("name").integer(); }),
            "m.json.name: expected an integer: found something else");
  EXPECT_EQ(refusal([&] { root.at("rate").text(); }),
            "m.json.rate: expected a text: found something else");
  EXPECT_EQ(refusal([&] { root.at("rate").entries(); }),
            "m.json.rate: expected a list: found something else");
  EXPECT_EQ(refusal([&] { root.at("widths").entries(3); }),
            "m.json.widths: expected 3 entries: found 2");
  EXPECT_EQ(refusal([&] { root.at("widths").entries()[0].integer(0, 2); }),
            "m.json.widths[0]: expected 0 to 2: found 3");
}

TEST(ValueReader, RealsComeBackFromJsonWithTheirBits) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const double real : {0.1, 3.0, -0.0, 5e-324, kInfinity, -kInfinity}) {
    const SettingValue tree = parse_json(json_text(real_value(real)), "test");
    const double back = ValueReader(tree, "test").real();
    EXPECT_EQ(back, real);
    EXPECT_EQ(std::signbit(back), std::signbit(real));
  }
  const SettingValue nan = parse_json(json_text(real_value(std::nan(""))), "test");
  EXPECT_TRUE(std::isnan(ValueReader(nan, "test").real()));
  const SettingValue word = value_of("much");
  EXPECT_EQ(refusal([&] { ValueReader(word, "m.json.best").real(); }),
            "m.json.best: expected a number: found \"much\"");
}

TEST(ValueReader, ReadsListsOfIntegersWithinTheirBounds) {
  const SettingValue tree = parse_json(R"({"a": [3, 0, 7], "b": [1, 8], "c": [1.5], "d": 2})", "m");
  const ValueReader root(tree, "m");
  EXPECT_EQ(root.at("a").integers(0, 7), (std::vector<std::int64_t>{3, 0, 7}));
  EXPECT_EQ(refusal([&] { root.at("b").integers(0, 7); }), "m.b[1]: expected 0 to 7: found 8");
  EXPECT_EQ(refusal([&] { root.at("c").integers(0, 7); }),
            "m.c[0]: expected an integer: found something else");
  EXPECT_EQ(refusal([&] { root.at("d").integers(0, 7); }),
            "m.d: expected a list: found something else");
}

TEST(ValueReader, ReadsDigestsOneAfterAnother) {
  const Digest128 first{1, 2}, second{3, 4};
  const SettingValue text = value_of(first.hex() + second.hex());
  const ValueReader reader(text, "m.json.digests");
  EXPECT_EQ(reader.digests(), (std::vector<Digest128>{first, second}));
  EXPECT_EQ(refusal([&] { reader.digest(); }).substr(0, 53),
            "m.json.digests: expected 32 hexadecimal digits: found");
  const SettingValue cut = value_of(first.hex() + "00");
  EXPECT_EQ(refusal([&] { ValueReader(cut, "d").digests(); }),
            "d: expected 32 hexadecimal digits: found 00");
}

}  // namespace
}  // namespace keyshard
