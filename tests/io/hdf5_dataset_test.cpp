// Rows of a dataset: any run of rows is written and read, none outside, and what a shape means.
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "io/hdf5_file.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::ScratchFolder;

class Hdf5DatasetTest : public ::testing::Test {
 protected:
  ScratchFolder folder_;
  Hdf5File file_ = Hdf5File::create(folder_.path("file.h5"));
};

/// Expects that a call throws an error of that kind, with `part` in its text.
template <class Body>
void expect_error(Kind kind, const std::string& part, const Body& body) {
  try {
    body();
    ADD_FAILURE() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.text();
    EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
  }
}

TEST_F(Hdf5DatasetTest, RandomRunsOfRowsAreReadAsTheyWereWritten) {
  std::mt19937 random(9);
  constexpr std::int64_t kRows = 57, kWidth = 3;
  Hdf5Dataset dataset = file_.create_dataset("x", ElementType::i64, {kRows, kWidth});
  std::vector<std::int64_t> model(kRows * kWidth), zero = model;
  dataset.write(0, kRows, zero.data());
  for (int round = 0; round < 200; ++round) {
    const std::int64_t begin = random() % kRows, count = random() % (kRows - begin + 1);
    std::vector<std::int64_t> values(static_cast<std::size_t>(count * kWidth));
    std::iota(values.begin(), values.end(), round * 1000);
    dataset.write(begin, count, values.data());
    std::copy(values.begin(), values.end(), model.begin() + begin * kWidth);

    const std::int64_t from = random() % kRows, rows = random() % (kRows - from + 1);
    std::vector<std::int64_t> found(static_cast<std::size_t>(rows * kWidth));
    dataset.read(from, rows, found.data());
    ASSERT_TRUE(std::equal(found.begin(), found.end(), model.begin() + from * kWidth))
        << "round " << round;
  }
}

TEST_F(Hdf5DatasetTest, RowsAreTheFirstDimensionAndWidthIsAllOthers) {
  const std::vector<std::pair<std::vector<std::int64_t>, std::int64_t>> shapes{
      {{5}, 1}, {{5, 2}, 2}, {{5, 2, 3}, 6}, {{5, 2, 3, 4}, 24}, {{0, 7}, 7}};
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto& [shape, width] = shapes[i];
    const Hdf5Dataset dataset =
        file_.create_dataset("d" + std::to_string(i), ElementType::u8, shape);
    EXPECT_EQ(dataset.rows(), shape[0]);
    EXPECT_EQ(dataset.width(), width);
    EXPECT_EQ(dataset.shape(), shape);
    EXPECT_EQ(dataset.type(), ElementType::u8);
  }
}

TEST_F(Hdf5DatasetTest, ShortFloatsKeepTheirTypeAndBits) {
  for (const ElementType type : {ElementType::f16, ElementType::bf16}) {
    std::vector<std::uint16_t> all(65536), found(all.size());
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    file_.write(name_of(type), type, {4, 16384}, all.data());
    const Hdf5Dataset dataset = file_.open_dataset(name_of(type));
    EXPECT_NO_THROW(dataset.expect(type, {4, 16384}));
    dataset.read(0, 4, found.data());
    EXPECT_EQ(found, all);
  }
}

TEST_F(Hdf5DatasetTest, NoRowOutsideIsWrittenOrRead) {
  Hdf5Dataset dataset = file_.create_dataset("x", ElementType::u8, {4});
  const std::vector<std::pair<std::int64_t, std::int64_t>> runs{
      {-1, 1}, {0, 5}, {4, 1}, {5, 0}, {2, -1}, {1, std::int64_t{1} << 62}};
  std::vector<std::uint8_t> bytes(16);
  for (const auto& [begin, count] : runs) {
    expect_error(Kind::invalid_argument, "expected rows within [0, 4)",
                 [&, b = begin, c = count] { dataset.write(b, c, bytes.data()); });
    expect_error(Kind::invalid_argument, "file.h5:x",
                 [&, b = begin, c = count] { dataset.read(b, c, bytes.data()); });
  }
}

TEST_F(Hdf5DatasetTest, NoRowsAreFineAtBothEnds) {
  Hdf5Dataset dataset = file_.create_dataset("x", ElementType::u8, {4});
  EXPECT_NO_THROW(dataset.write(0, 0, nullptr));
  EXPECT_NO_THROW(dataset.read(4, 0, nullptr));
  Hdf5Dataset empty = file_.create_dataset("none", ElementType::f32, {0, 3});
  EXPECT_NO_THROW(empty.write(0, 0, nullptr));
  Hdf5Dataset without_width = file_.create_dataset("narrow", ElementType::f32, {3, 0});
  EXPECT_NO_THROW(without_width.write(0, 3, nullptr));
}

TEST_F(Hdf5DatasetTest, SaysWhichTypeAndShapeWereExpectedAndFound) {
  const Hdf5Dataset dataset = file_.create_dataset("x", ElementType::f32, {4, 2});
  EXPECT_NO_THROW(dataset.expect(ElementType::f32, {4, 2}));
  const std::string found = "found f32 of shape [4, 2]";
  expect_error(Kind::corrupt_data, found, [&] { dataset.expect(ElementType::f64, {4, 2}); });
  expect_error(Kind::corrupt_data, found, [&] { dataset.expect(ElementType::f32, {4}); });
  expect_error(Kind::corrupt_data, "expected f32 of shape [2, 4]", [&] {
    dataset.expect(ElementType::f32, {2, 4});
  });
}

TEST_F(Hdf5DatasetTest, AMemberThatIsMissingIsRefusedByItsName) {
  file_.create_dataset("group/x", ElementType::u8, {1}).close();
  EXPECT_TRUE(file_.has("group"));
  EXPECT_TRUE(file_.has("group/x"));
  EXPECT_FALSE(file_.has("group/y"));
  expect_error(Kind::corrupt_data, "file.h5:group/y", [&] { file_.open_dataset("group/y"); });
  expect_error(Kind::corrupt_data, "file.h5:group", [&] { file_.open_dataset("group"); });
}

TEST_F(Hdf5DatasetTest, MembersOfAGroupAreSorted) {
  for (const char* name : {"g/b", "g/a", "g/C", "g/sub/x"}) {
    file_.create_dataset(name, ElementType::u8, {1}).close();
  }
  EXPECT_EQ(file_.members("g"), (std::vector<std::string>{"C", "a", "b", "sub"}));
}

TEST_F(Hdf5DatasetTest, AttributesAreReadBackOrRefusedByTheirName) {
  file_.set_text("/", "name", "a \xC3\xA4 b");
  file_.set_text("/", "empty", "");
  file_.set_integer("/", "least", std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(file_.text("/", "name"), "a \xC3\xA4 b");
  EXPECT_EQ(file_.text("/", "empty"), "");
  EXPECT_EQ(file_.integer("/", "least"), std::numeric_limits<std::int64_t>::min());
  expect_error(Kind::corrupt_data, "none", [&] { file_.text("/", "none"); });
  expect_error(Kind::corrupt_data, "least", [&] { file_.text("/", "least"); });
  expect_error(Kind::corrupt_data, "name", [&] { file_.integer("/", "name"); });
}

TEST_F(Hdf5DatasetTest, ANameIsTakenOnce) {
  file_.create_dataset("x", ElementType::u8, {1}).close();
  expect_error(Kind::io, "file.h5:x", [&] { file_.create_dataset("x", ElementType::u8, {1}); });
}

}  // namespace
}  // namespace keyshard
