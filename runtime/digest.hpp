// Digests of bytes by XXH3 (the one home of xxHash): `hash_bytes` turns strings into ids, `Digest`
// makes names for files and states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/portable.hpp"

namespace keyshard {

/// XXH3-64 of a string, with a seed: how string ids become keys, one seed per field.
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0);

/// 128 bits that name a content. Compared, combined and printed; never a key.
struct Digest128 {
  static constexpr std::size_t kHexDigits = 32;

  std::uint64_t low = 0;
  std::uint64_t high = 0;

  bool operator==(const Digest128&) const = default;

  /// 32 hexadecimal digits, most significant first.
  std::string hex() const;
  /// Reads what `hex` writes; nothing where `digits` are not 32 lower-case hexadecimal digits.
  static std::optional<Digest128> from_hex(std::string_view digits);
};

/// XXH3-128 of everything that was added, in order. Move-only.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  Digest& add(const void* data, std::size_t bytes);  ///< the bytes alone
  Digest& add(std::string_view text);                ///< the length of the text, then its bytes
  Digest& add(std::uint64_t number);
  Digest& add(const Digest128& digest);

  template <class T>
  Digest& add(Span<const T> values) {
    return add(values.data(), values.size_bytes());
  }

  Digest128 result() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Returns XXH3-128 of the bytes.
Digest128 digest_of(const void* data, std::size_t bytes);

}  // namespace keyshard
