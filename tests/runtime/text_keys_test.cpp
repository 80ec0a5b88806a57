#include "runtime/text_keys.hpp"

#include <gtest/gtest.h>

#include "runtime/digest.hpp"

namespace keyshard {
namespace {

// Fingerprints that TensorFlow gives for these strings; the golden runner has more of them.
TEST(Farmhash64, IsTheFingerprintOfTensorFlow) {
  EXPECT_EQ(farmhash64(""), 11160318154034397263u);
  EXPECT_EQ(farmhash64("a"), 12917804110809363939u);
  EXPECT_EQ(farmhash64("abc"), 2640714258260161385u);
}

TEST(StringKeys, AreFarmhash64InTheOrderOfTheStrings) {
  EXPECT_EQ(string_keys({"abc", "a", "abc"}),
            (std::vector<Key>{2640714258260161385u, 12917804110809363939u, 2640714258260161385u}));
  EXPECT_EQ(string_keys({}), std::vector<Key>{});
}

TEST(TextKeys, OfXxh3DependOnTheKeySpaceAndOfFarmhash64DoNot) {
  EXPECT_EQ(TextKeys("items")("a"), hash_bytes("a", hash_bytes("items")));
  EXPECT_NE(TextKeys("items")("a"), TextKeys("users")("a"));
  EXPECT_EQ(TextKeys("items", TextHash::farmhash64)("a"),
            TextKeys("users", TextHash::farmhash64)("a"));
  EXPECT_EQ(TextKeys("items")(std::vector<std::string>{"b", "a"})[1], TextKeys("items")("a"));
}

TEST(TextHashes, HaveTheirNamesInOrder) {
  EXPECT_EQ(text_hash_names().at(static_cast<std::size_t>(TextHash::farmhash64)), "farmhash64");
  EXPECT_EQ(text_hash_names().at(static_cast<std::size_t>(TextHash::xxh3)), "xxh3");
}

}  // namespace
}  // namespace keyshard
