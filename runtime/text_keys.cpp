#include "runtime/text_keys.hpp"

#include <farmhash.h>

#include "runtime/digest.hpp"

namespace keyshard {

const std::vector<std::string>& text_hash_names() {
  static const std::vector<std::string> kNames{"xxh3", "farmhash64"};
  return kNames;
}

std::uint64_t farmhash64(std::string_view bytes) {
  return NAMESPACE_FOR_HASH_FUNCTIONS::Fingerprint64(bytes.data(), bytes.size());
}

TextKeys::TextKeys(std::string_view key_space, TextHash hash)
    : hash_(hash), seed_(hash_bytes(key_space)) {}

Key TextKeys::operator()(std::string_view text) const {
  return hash_ == TextHash::xxh3 ? hash_bytes(text, seed_) : farmhash64(text);
}

std::vector<Key> TextKeys::operator()(const std::vector<std::string>& texts) const {
  std::vector<Key> keys;
  keys.reserve(texts.size());
  for (const std::string& text : texts) {
    keys.push_back((*this)(text));
  }
  return keys;
}

std::vector<Key> string_keys(const std::vector<std::string>& texts) {
  return TextKeys({}, TextHash::farmhash64)(texts);
}

}  // namespace keyshard
