// Keys of strings: 64 bits of a named hash. Strings with one fingerprint share a key; among n
// strings that is to be expected once n^2 nears 2^65. Neither hash depends on the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/portable.hpp"

namespace keyshard {

/// How a string becomes a key. xxh3: XXH3-64, seeded with XXH3-64 of the name of a key space (in a
/// job the table), so that a string has other keys in other tables. farmhash64: FarmHash
/// Fingerprint64 of the bytes alone, the hash of TensorFlow's string keys.
enum class TextHash { xxh3, farmhash64 };

/// The names of a configuration, in the order of the enumerators.
const std::vector<std::string>& text_hash_names();

/// FarmHash Fingerprint64: tf.fingerprint and tf.strings.to_hash_bucket_fast before its modulo.
std::uint64_t farmhash64(std::string_view bytes);

/// The keys of the strings of one key space.
class TextKeys {
 public:
  explicit TextKeys(std::string_view key_space = {}, TextHash hash = TextHash::xxh3);

  Key operator()(std::string_view text) const;

  /// The keys of all strings, in their order.
  std::vector<Key> operator()(const std::vector<std::string>& texts) const;

 private:
  TextHash hash_;
  std::uint64_t seed_;
};

/// The keys by which TensorFlow knows the strings (farmhash64), in their order.
std::vector<Key> string_keys(const std::vector<std::string>& texts);

}  // namespace keyshard
