#include "runtime/digest.hpp"

#include <charconv>

#include <fmt/format.h>
#include <xxhash.h>

#include "runtime/error.hpp"

namespace keyshard {

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string Digest128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

std::optional<Digest128> Digest128::from_hex(std::string_view digits) {
  if (digits.size() != kHexDigits ||
      digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return std::nullopt;
  }
  Digest128 digest;
  const char* middle = digits.data() + kHexDigits / 2;
  std::from_chars(digits.data(), middle, digest.high, 16);
  std::from_chars(middle, middle + kHexDigits / 2, digest.low, 16);
  return digest;
}

struct Digest::State {
  XXH3_state_t* xxh = XXH3_createState();

  State() {
    require(xxh != nullptr, Kind::out_of_memory, "no memory for a digest");
    XXH3_128bits_reset(xxh);
  }

  ~State() { XXH3_freeState(xxh); }

  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Digest::Digest() : state_(std::make_unique<State>()) {}

Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

Digest& Digest::add(const void* data, std::size_t bytes) {
  XXH3_128bits_update(state_->xxh, data, bytes);
  return *this;
}

Digest& Digest::add(std::string_view text) {
  add(static_cast<std::uint64_t>(text.size()));
  return add(text.data(), text.size());
}

Digest& Digest::add(std::uint64_t number) { return add(&number, sizeof number); }

Digest& Digest::add(const Digest128& digest) { return add(digest.low).add(digest.high); }

Digest128 Digest::result() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return {hash.low64, hash.high64};
}

Digest128 digest_of(const void* data, std::size_t bytes) {
  const XXH128_hash_t hash = XXH3_128bits(data, bytes);
  return {hash.low64, hash.high64};
}

}  // namespace keyshard
