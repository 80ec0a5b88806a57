// Types of the elements of columns and datasets in files, all little-endian.
#pragma once

#include <cstdint>
#include <string_view>

namespace keyshard {

/// f16 is IEEE 754 binary16, bf16 the upper half of a f32.
enum class ElementType { u8, i32, u32, i64, u64, f32, f64, f16, bf16, i8 };

std::int64_t size_of(ElementType type);
const char* name_of(ElementType type);
/// Throws Error{corrupt_data} with `place` where no type has this name.
ElementType element_type_of(std::string_view name, std::string_view place);

}  // namespace keyshard
