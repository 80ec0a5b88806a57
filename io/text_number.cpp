#include "io/text_number.hpp"

#include <algorithm>

namespace keyshard {

bool underflows(std::string_view number) {
  number = number.substr(number.starts_with('-') ? 1 : 0);
  const std::size_t mark = std::min(number.find_first_of("eE"), number.size());
  const std::string_view mantissa = number.substr(0, mark);
  const std::size_t first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) {
    return true;  // zero, whatever its exponent is
  }
  // The power of ten of the first digit that is not 0.
  const auto point = static_cast<std::int64_t>(std::min(mantissa.find('.'), mantissa.size()));
  const auto at = static_cast<std::int64_t>(first);
  const std::int64_t power = at < point ? point - 1 - at : point - at;
  std::int64_t exponent = 0;
  std::string_view digits = without_plus(number.substr(std::min(mark + 1, number.size())));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (error == std::errc::result_out_of_range) {
    return digits.starts_with('-');
  }
  return exponent < -power;
}

}  // namespace keyshard
