#include "runtime/joined.hpp"

#include <fmt/format.h>

namespace keyshard {
namespace {

template <class Item>
std::string join_items(const std::vector<Item>& items, std::string_view separator) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    text += i == 0 ? std::string_view() : separator;
    if constexpr (std::is_arithmetic_v<Item>) {
      text += fmt::format("{}", items[i]);
    } else {
      text += items[i];
    }
  }
  return text;
}

}  // namespace

std::string joined(const std::vector<std::string>& items, std::string_view separator) {
  return join_items(items, separator);
}

std::string joined(const std::vector<std::string_view>& items, std::string_view separator) {
  return join_items(items, separator);
}

std::string joined(const std::vector<std::int64_t>& items, std::string_view separator) {
  return join_items(items, separator);
}

std::string joined(const std::vector<double>& items, std::string_view separator) {
  return join_items(items, separator);
}

}  // namespace keyshard
