#include "runtime/digest.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/hash.hpp"

namespace keyshard {
namespace {

// splitmix64 from state 1234567: the first outputs of its reference implementation (S. Vigna).
TEST(Mix64, IsTheFinaliserOfSplitmix64) {
  const std::uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                    9817491932198370423u, 4593380528125082431u,
                                    16408922859458223821u};
  std::uint64_t state = 1234567;
  for (const std::uint64_t output : expected) {
    state += 0x9E3779B97F4A7C15u;

    EXPECT_EQ(mix64(state), output);
  }
}

TEST(HashOf, DependsOnEveryNumberAndTheirOrder) {
  EXPECT_EQ(hash_of(1, 2, 3), hash_of(1, 2, 3));
  EXPECT_NE(hash_of(1, 2, 3), hash_of(1, 3, 2));
  EXPECT_NE(hash_of(1, 2), hash_of(2, 1));
  EXPECT_NE(hash_of(1), hash_of(1, 0));
}

// The digest of no bytes, as the specification of XXH3 gives it.
TEST(HashBytes, IsXxh3) { EXPECT_EQ(hash_bytes(""), 0x2D06800538D394C2u); }

TEST(HashBytes, DependsOnTheSeed) { EXPECT_NE(hash_bytes("id", 1), hash_bytes("id", 2)); }

TEST(Digest, IsXxh3OfEverythingAdded) {
  EXPECT_EQ(Digest().result().hex(), "99aa06d3014798d86001c324468d497f");
  const std::string text(5000, 'k');
  Digest parts;
  parts.add(text.data(), 17).add(text.data() + 17, text.size() - 17);

  EXPECT_EQ(parts.result(), digest_of(text.data(), text.size()));
}

TEST(Digest, TellsTextsApartThatJoinAlike) {
  const Digest128 first = Digest().add(std::string_view("ab")).add(std::string_view("c")).result();
  const Digest128 second = Digest().add(std::string_view("a")).add(std::string_view("bc")).result();

  EXPECT_NE(first, second);
}

TEST(Digest, PrintsThirtyTwoDigitsMostSignificantFirst) {
  EXPECT_EQ((Digest128{0xAB, 0x1}).hex(), "000000000000000100000000000000ab");
}

TEST(Digest, IsReadFromItsDigitsAlone) {
  const std::string digits = "0123456789abcdeffedcba9876543210";
  EXPECT_EQ(Digest128::from_hex(digits), (Digest128{0xfedcba9876543210u, 0x0123456789abcdefu}));
  for (const char* other :
       {"", "0123456789abcdef", "0123456789abcdeffedcba98765432100",
        "0x23456789abcdeffedcba9876543210", " 123456789abcdeffedcba9876543210",
        "0123456789ABCDEFFEDCBA9876543210", "0123456789abcdeffedcba987654321g"}) {
    EXPECT_EQ(Digest128::from_hex(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace keyshard
