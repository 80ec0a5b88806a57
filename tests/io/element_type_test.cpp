// Types of elements: names and sizes as FORMATS.md has them, both ways.
#include "io/element_type.hpp"

#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

using Row = std::tuple<ElementType, const char*, std::int64_t>;

const std::vector<Row>& every_type() {
  static const std::vector<Row> rows{{ElementType::u8, "u8", 1},     {ElementType::i32, "i32", 4},
                                     {ElementType::u32, "u32", 4},   {ElementType::i64, "i64", 8},
                                     {ElementType::u64, "u64", 8},   {ElementType::f32, "f32", 4},
                                     {ElementType::f64, "f64", 8},   {ElementType::f16, "f16", 2},
                                     {ElementType::bf16, "bf16", 2}, {ElementType::i8, "i8", 1}};
  return rows;
}

TEST(ElementType, HasTheSizeThatItsNameSays) {
  for (const auto& [type, name, size] : every_type()) {
    EXPECT_STREQ(name_of(type), name);
    EXPECT_EQ(size_of(type), size) << name;
    const std::string text = name;
    EXPECT_EQ(size_of(type) * 8, std::stoll(text.substr(text.find_first_of("123468"))));
  }
}

TEST(ElementType, IsFoundByItsName) {
  for (const auto& [type, name, size] : every_type()) {
    EXPECT_EQ(element_type_of(name, "here"), type);
  }
}

TEST(ElementType, AnUnknownNameIsRefusedWithItsPlaceAndTheLegalOnes) {
  for (const char* name : {"f8", "", "F32", "f32 ", "float"}) {
    try {
      element_type_of(name, "manifest.json.tables[0]");
      ADD_FAILURE() << "expected an error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::corrupt_data);
      EXPECT_EQ(error.text(),
                std::string("manifest.json.tables[0]: expected one of u8, i32, u32, i64, u64, f32, "
                            "f64, f16, bf16, i8: found ") +
                    name);
    }
  }
}

}  // namespace
}  // namespace keyshard
