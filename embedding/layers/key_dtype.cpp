#include "embedding/layers/key_dtype.hpp"

#include <cstdint>

namespace keyshard {

const std::vector<std::string>& key_dtype_names() {
  static const std::vector<std::string> kNames{"int64", "uint64", "int32", "uint32", "string"};
  return kNames;
}

bool is_narrow(const std::string& key_dtype) {
  return key_dtype == "int32" || key_dtype == "uint32";
}

bool holds_key(const std::string& key_dtype, Key key) {
  const auto low = static_cast<std::uint32_t>(key);
  return key_dtype == "int32"    ? static_cast<Key>(static_cast<std::int32_t>(low)) == key
         : key_dtype == "uint32" ? Key{low} == key
                                 : true;
}

}  // namespace keyshard
