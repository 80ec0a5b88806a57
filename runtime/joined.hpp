// Lists in messages: their items as "{}" shows them, with a separator between them. fmt::join would
// do the same, at half a second of compilation for every unit that has one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keyshard {

std::string joined(const std::vector<std::string>& items, std::string_view separator);
std::string joined(const std::vector<std::string_view>& items, std::string_view separator);
std::string joined(const std::vector<std::int64_t>& items, std::string_view separator);
std::string joined(const std::vector<double>& items, std::string_view separator);

}  // namespace keyshard
