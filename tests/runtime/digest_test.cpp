#include "runtime/digest.hpp"

#include <algorithm>
#include <random>
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

/// The first bytes of the buffer over which xxHash's own sanity check computes its known answers.
std::string sanity_bytes(std::size_t size) {
  std::string bytes;
  for (std::uint64_t state = 2654435761u; bytes.size() < size; state *= 11400714785074694797u) {
    bytes += static_cast<char>(state >> 56);
  }
  return bytes;
}

// Lines of XSUM_XXH3_testdata in xxHash's tests: a length of each way in which XXH3 hashes.
TEST(HashBytes, GivesTheKnownAnswersOfItsAuthors) {
  struct Answer {
    std::size_t size;
    std::uint64_t unseeded, seeded;
  };

  constexpr std::uint64_t kSeed = 0x9E3779B185EBCA8Du;
  for (const Answer& answer : {Answer{0, 0x2D06800538D394C2u, 0xA8A6B918B2F0364Au},
                               Answer{1, 0xC44BDFF4074EECDBu, 0x032BE332DD766EF8u},
                               Answer{6, 0x27B56A84CD2D7325u, 0x84589C116AB59AB9u},
                               Answer{12, 0xA713DAF0DFBB77E7u, 0xE7303E1B2336DE0Eu},
                               Answer{24, 0xA3FE70BF9D3510EBu, 0x850E80FC35BDD690u},
                               Answer{48, 0x397DA259ECBA1F11u, 0xADC2CBAA44ACC616u},
                               Answer{80, 0xBCDEFBBB2C47C90Au, 0xC6DD0CB699532E73u},
                               Answer{195, 0xCD94217EE362EC3Au, 0xBA68003D370CB3D9u}}) {
    EXPECT_EQ(hash_bytes(sanity_bytes(answer.size)), answer.unseeded) << answer.size;
    EXPECT_EQ(hash_bytes(sanity_bytes(answer.size), kSeed), answer.seeded) << answer.size;
  }
}

TEST(HashBytes, TakesZeroBytesAsTheyAre) {
  EXPECT_NE(hash_bytes(std::string_view("a\0", 2)), hash_bytes("a"));
  EXPECT_NE(hash_bytes(std::string_view("\0", 1)), hash_bytes(""));
}

TEST(HashBytes, DependsOnTheSeed) { EXPECT_NE(hash_bytes("id", 1), hash_bytes("id", 2)); }

TEST(Digest, IsXxh3OfEverythingAdded) {
  EXPECT_EQ(Digest().result().hex(), "99aa06d3014798d86001c324468d497f");
  const std::string text(5000, 'k');
  Digest parts;
  parts.add(text.data(), 17).add(text.data() + 17, text.size() - 17);

  EXPECT_EQ(parts.result(), digest_of(text.data(), text.size()));
}

TEST(Digest, OfAnyPartsIsThatOfTheWhole) {
  std::mt19937 random(31);
  const std::string text = sanity_bytes(3000);
  for (int round = 0; round < 50; ++round) {
    Digest parts;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 500, text.size() - at);
      parts.add(text.data() + at, size);
      at += size;
    }
    ASSERT_EQ(parts.result(), digest_of(text.data(), text.size())) << "round " << round;
  }
}

TEST(Digest, ResultEndsNothing) {
  Digest digest;
  digest.add("ab", 2);
  EXPECT_EQ(digest.result(), digest.result());
  digest.add("cd", 2);

  EXPECT_EQ(digest.result(), digest_of("abcd", 4));
}

TEST(Digest, AddsNumbersTextsAndDigestsAsTheirBytes) {
  const std::uint64_t number = 0x0102030405060708u;
  EXPECT_EQ(Digest().add(number).result(), digest_of(&number, 8));

  const char text[] = "\x02\0\0\0\0\0\0\0hi";
  EXPECT_EQ(Digest().add(std::string_view("hi")).result(), digest_of(text, 10));

  const std::uint64_t words[] = {5, 9};
  EXPECT_EQ(Digest().add(Digest128{5, 9}).result(), digest_of(words, 16));

  const std::vector<std::uint64_t> span{5, 9};
  EXPECT_EQ(Digest().add(Span<const std::uint64_t>(span)).result(), digest_of(words, 16));
}

TEST(Digest, IsWhatItWasAfterAMove) {
  Digest digest;
  digest.add("ab", 2);
  Digest moved = std::move(digest);
  moved.add("c", 1);

  EXPECT_EQ(moved.result(), digest_of("abc", 3));
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
