#include "io/state_digest.hpp"

#include <gtest/gtest.h>

namespace keyshard::testing {
namespace {

void add_number(std::string& bytes, std::uint64_t number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void add_text(std::string& bytes, const std::string& text) {
  add_number(bytes, text.size());
  bytes += text;
}

void add_digest(std::string& bytes, const Digest128& digest) {
  add_number(bytes, digest.low);
  add_number(bytes, digest.high);
}

TEST(StateDigest, IsTheDigestOfTheBytesThatFormatsMdNames) {
  const std::vector<TableDigests> tables{{"user", {"keys", "values/v"}, {{1, 2}, {3, 4}}},
                                         {"item", {"keys"}, {{5, 6}}}};
  std::string bytes;
  add_text(bytes, "user");
  add_text(bytes, "keys");
  add_text(bytes, "values/v");
  add_digest(bytes, {1, 2});
  add_digest(bytes, {3, 4});
  add_text(bytes, "item");
  add_text(bytes, "keys");
  add_digest(bytes, {5, 6});
  add_text(bytes, "weights");
  add_digest(bytes, {7, 8});
  add_number(bytes, 123);
  EXPECT_EQ(state_digest(tables, {{"weights", {7, 8}}}, 123),
            digest_of(bytes.data(), bytes.size()));
}

TEST(StateDigest, ChangesWithEachOfItsParts) {
  const std::vector<TableDigests> tables{{"t", {"keys"}, {{1, 2}}}};
  const NamedDigests dense{{"w", {3, 4}}};
  const Digest128 digest = state_digest(tables, dense, 1);
  EXPECT_NE(state_digest(tables, dense, 2), digest);
  EXPECT_NE(state_digest(tables, {{"w", {3, 5}}}, 1), digest);
  EXPECT_NE(state_digest(tables, {{"v", {3, 4}}}, 1), digest);
  EXPECT_NE(state_digest({{"t", {"keys"}, {{0, 2}}}}, dense, 1), digest);
  EXPECT_NE(state_digest({{"u", {"keys"}, {{1, 2}}}}, dense, 1), digest);
}

}  // namespace
}  // namespace keyshard::testing
