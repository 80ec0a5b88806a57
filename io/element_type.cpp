#include "io/element_type.hpp"

#include <array>

#include "runtime/error.hpp"

namespace keyshard {
namespace {

struct Description {
  ElementType type;
  const char* name;
  std::int64_t size;
};

constexpr std::array<Description, 10> kTypes{{{ElementType::u8, "u8", 1},
                                              {ElementType::i32, "i32", 4},
                                              {ElementType::u32, "u32", 4},
                                              {ElementType::i64, "i64", 8},
                                              {ElementType::u64, "u64", 8},
                                              {ElementType::f32, "f32", 4},
                                              {ElementType::f64, "f64", 8},
                                              {ElementType::f16, "f16", 2},
                                              {ElementType::bf16, "bf16", 2},
                                              {ElementType::i8, "i8", 1}}};

}  // namespace

std::int64_t size_of(ElementType type) { return kTypes.at(static_cast<std::size_t>(type)).size; }

const char* name_of(ElementType type) { return kTypes.at(static_cast<std::size_t>(type)).name; }

ElementType element_type_of(std::string_view name, std::string_view place) {
  for (const Description& description : kTypes) {
    if (name == description.name) {
      return description.type;
    }
  }
  fail(Kind::corrupt_data,
       "{}: expected one of u8, i32, u32, i64, u64, f32, f64, f16, bf16, i8: found {}", place,
       name);
}

}  // namespace keyshard
