// The one exception type: its text, its kind, and the place in the source where it was thrown.
#include "runtime/error.hpp"

#include <gtest/gtest.h>

namespace keyshard {
namespace {

/// What `body` throws; fails the test where it throws nothing.
template <class Body>
Error thrown_by(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an error";
  return Error(Kind::io, "", "", 0);
}

TEST(Error, SaysWhereItWasThrownBeforeItsText) {
  const Error error(Kind::bad_input, "expected 2: found 3", "io/batch.cpp", 17);

  EXPECT_STREQ(error.what(), "io/batch.cpp:17: expected 2: found 3");
  EXPECT_EQ(error.text(), "expected 2: found 3");
  EXPECT_EQ(error.kind(), Kind::bad_input);
}

TEST(Error, IsCaughtAsAnyErrorOfTheRun) { EXPECT_THROW(fail(Kind::io, "x"), std::runtime_error); }

TEST(Fail, FormatsItsValuesAndNamesTheLineThatCalledIt) {
  const int line = __LINE__ + 1;
  const Error error = thrown_by([] { fail(Kind::io, "{}: expected {} bytes", "a.h5", 12); });

  EXPECT_EQ(error.text(), "a.h5: expected 12 bytes");
  EXPECT_EQ(error.kind(), Kind::io);
  EXPECT_EQ(std::string(error.what()),
            fmt::format("{}:{}: a.h5: expected 12 bytes", __FILE__, line));
}

TEST(Require, ThrowsOnlyWhereItsConditionDoesNotHold) {
  EXPECT_NO_THROW(require(true, Kind::io, "never {}", 1));

  const int line = __LINE__ + 1;
  const Error error = thrown_by([] { require(false, Kind::corrupt_data, "at {:03}", 7); });
  EXPECT_EQ(error.text(), "at 007");
  EXPECT_EQ(error.kind(), Kind::corrupt_data);
  EXPECT_NE(std::string(error.what()).find(fmt::format(":{}: ", line)), std::string::npos)
      << error.what();
}

TEST(Require, KeepsBracesOfItsValuesAsTheyAre) {
  const Error error = thrown_by([] { require(false, Kind::bad_input, "found {}", "{} {0}"); });

  EXPECT_EQ(error.text(), "found {} {0}");
}

TEST(Require, LetsEveryKindBeToldApart) {
  for (const Kind kind :
       {Kind::invalid_argument, Kind::bad_input, Kind::out_of_memory, Kind::communication, Kind::io,
        Kind::corrupt_data, Kind::non_finite, Kind::not_built, Kind::other_bits}) {
    EXPECT_EQ(thrown_by([&] { require(false, kind, "x"); }).kind(), kind);
  }
}

}  // namespace
}  // namespace keyshard
