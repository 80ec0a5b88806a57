#include "io/hdf5_file.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

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

/// Runs Python with h5py on the file "f" of mode "w". False where there is no h5py.
bool make_with_h5py(const std::string& path, const std::string& body) {
  const std::string script = path + ".py";
  std::ofstream(script) << "import h5py, numpy\nf = h5py.File('" << path << "', 'w')\n"
                        << body << "\nf.close()\n";
  return std::system(("/usr/bin/python3 " + script + " 2>/dev/null").c_str()) == 0;
}

class Hdf5FileTest : public ::testing::Test {
 protected:
  TestFolder folder_;
  std::string path_ = folder_ / "file.h5";
};

TEST_F(Hdf5FileTest, ReturnsRowsOfEveryTypeAsTheyWereWritten) {
  std::vector<std::byte> bytes(6 * 3 * 8);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 37 + 11);
  }
  const std::vector<ElementType> types{ElementType::u8,  ElementType::i32, ElementType::u32,
                                       ElementType::i64, ElementType::u64, ElementType::f32,
                                       ElementType::f64};
  Hdf5File file = Hdf5File::create(path_);
  for (const ElementType type : types) {
    file.write(std::string("group/") + name_of(type), type, {6, 3}, bytes.data());
  }
  file.close();
  const Hdf5File read = Hdf5File::open(path_);
  for (const ElementType type : types) {
    const Hdf5Dataset dataset = read.open_dataset(std::string("group/") + name_of(type));
    dataset.expect(type, {6, 3});
    EXPECT_EQ(dataset.width(), 3);
    // Rows 2 to 4.
    const auto row = static_cast<std::size_t>(3 * size_of(type));
    std::vector<std::byte> rows(3 * row);
    dataset.read(2, 3, rows.data());
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), bytes.begin() + static_cast<long>(2 * row)));
  }
  EXPECT_EQ(read.members("group").size(), types.size());
  EXPECT_TRUE(read.has("group/f32"));
  EXPECT_FALSE(read.has("group/f16"));
  EXPECT_FALSE(read.has("nothing/f16"));
}

TEST_F(Hdf5FileTest, WritesRowsInPieces) {
  std::vector<std::int64_t> values(100);
  std::iota(values.begin(), values.end(), 5);
  Hdf5File file = Hdf5File::create(path_);
  Hdf5Dataset dataset = file.create_dataset("v", ElementType::i64, {100});
  dataset.write(60, 40, values.data() + 60);
  dataset.write(0, 60, values.data());
  dataset.write(100, 0, nullptr);
  dataset.close();
  file.close();
  std::vector<std::int64_t> read(100);
  Hdf5File::open(path_).open_dataset("v").read(0, 100, read.data());
  EXPECT_EQ(read, values);
}

TEST_F(Hdf5FileTest, KeepsAttributes) {
  Hdf5File file = Hdf5File::create(path_);
  file.set_text("/", "name", "schlüssel");
  file.set_text("/", "empty", "");
  file.set_integer("/", "count", -3);
  file.close();
  const Hdf5File read = Hdf5File::open(path_);
  EXPECT_EQ(read.text("/", "name"), "schlüssel");
  EXPECT_EQ(read.text("/", "empty"), "");
  EXPECT_EQ(read.integer("/", "count"), -3);
  expect_error(Kind::corrupt_data, "@count", [&] { read.text("/", "count"); });
  expect_error(Kind::corrupt_data, "@missing", [&] { read.integer("/", "missing"); });
}

TEST_F(Hdf5FileTest, MakesGroupsWhereverADatasetNeedsThem) {
  const std::vector<std::string> names{"/a/b/x", "/a/b/y", "/a/c/d/x", "top",
                                       "/a/b/z", "/ab/x",  "a/x",      "/a/bc/x"};
  Hdf5File file = Hdf5File::create(path_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto value = static_cast<std::int64_t>(i);
    file.write(names[i], ElementType::i64, {1}, &value);
  }
  expect_error(Kind::io, "file.h5:/a/b/x: HDF5 cannot open the group",
               [&] { file.write("/a/b/x/y", ElementType::u8, {0}, nullptr); });
  file.close();
  const Hdf5File read = Hdf5File::open(path_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::int64_t value = -1;
    read.open_dataset(names[i]).read(0, 1, &value);
    EXPECT_EQ(value, static_cast<std::int64_t>(i)) << names[i];
  }
  EXPECT_EQ(read.members("/a"), (std::vector<std::string>{"b", "bc", "c", "x"}));
}

TEST_F(Hdf5FileTest, OfTheSameContentHasTheSameBytesAtAnyTime) {
  const auto content_of = [&](const std::string& path) {
    Hdf5File file = Hdf5File::create(path);
    const float value = 1;
    file.write("/group/v", ElementType::f32, {1}, &value);
    file.set_text("/group", "name", "group");
    file.create_virtual("/group/all", ElementType::f32, {1}, {{"other.h5", "v", 1}});
    file.close();
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::string first = content_of(path_);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // times of HDF5 count seconds
  EXPECT_EQ(content_of(folder_ / "second.h5"), first);
}

TEST_F(Hdf5FileTest, RefusesToOverwriteAFile) {
  Hdf5File::create(path_).close();
  expect_error(Kind::io, path_, [&] { Hdf5File::create(path_); });
}

TEST_F(Hdf5FileTest, RefusesWhatIsNoHdf5File) {
  expect_error(Kind::corrupt_data, path_, [&] { Hdf5File::open(path_); });
  std::ofstream(path_) << "text";
  expect_error(Kind::corrupt_data, path_, [&] { Hdf5File::open(path_); });
}

TEST_F(Hdf5FileTest, RefusesRowsOutsideADataset) {
  Hdf5File file = Hdf5File::create(path_);
  Hdf5Dataset dataset = file.create_dataset("v", ElementType::u8, {10});
  std::vector<char> values(11);
  expect_error(Kind::invalid_argument, "within [0, 10)",
               [&] { dataset.write(0, 11, values.data()); });
  expect_error(Kind::invalid_argument, "within [0, 10)",
               [&] { dataset.read(-1, 2, values.data()); });
  expect_error(Kind::corrupt_data, "expected u8 of shape [11]: found u8 of shape [10]",
               [&] { dataset.expect(ElementType::u8, {11}); });
}

TEST_F(Hdf5FileTest, RefusesAFileCutShort) {
  Hdf5File file = Hdf5File::create(path_);
  const std::vector<char> values(100'000);
  file.write("v", ElementType::u8, {100'000}, values.data());
  file.close();
  std::filesystem::resize_file(path_, 50'000);
  EXPECT_THROW(Hdf5File::open(path_).open_dataset("v"), Error);
}

TEST_F(Hdf5FileTest, RefusesAVirtualDataset) {
  Hdf5File file = Hdf5File::create(path_);
  file.create_virtual("v", ElementType::f32, {5, 2}, {{"other.h5", "a", 2}, {"other.h5", "b", 3}});
  file.close();
  expect_error(Kind::corrupt_data, ":v: expected a contiguous dataset inside the file",
               [&] { Hdf5File::open(path_).open_dataset("v"); });
}

TEST_F(Hdf5FileTest, RefusesWhatLeadsOutOfTheFileOrIsNotOurs) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"f['x'] = h5py.ExternalLink('/etc/passwd', '/a')", "expected a hard link"},
      {"f['a'] = numpy.zeros(3)\nf['x'] = h5py.SoftLink('/a')", "expected a hard link"},
      {"f.create_dataset('x', (4,), 'u1', external=[('/etc/passwd', 0, 4)])", "contiguous"},
      {"f.create_dataset('x', (2**53,), 'u1', chunks=(64,))", "contiguous"},
      {"f.create_dataset('x', data=numpy.zeros(100), chunks=(10,), compression='gzip')",
       "contiguous"},
      {"f['x'] = numpy.zeros(3, '>f4')", "little-endian"},
      {"f['x'] = numpy.zeros(3, 'i2')", "little-endian"},
      {"f['x'] = 'text'", "little-endian"},
      {"f['x'] = 3.5", "dimensions"},
      {"f.create_group('x')", "open the dataset"}};
  for (const auto& [body, reason] : cases) {
    std::filesystem::remove(path_);
    if (!make_with_h5py(path_, body)) {
      GTEST_SKIP() << "needs python3-h5py";
    }
    SCOPED_TRACE(body);
    const Hdf5File file = Hdf5File::open(path_);
    expect_error(Kind::corrupt_data, reason, [&] { file.open_dataset("x"); });
  }
}

TEST_F(Hdf5FileTest, NamesWithSlashesAndDotsAreEscaped) {
  EXPECT_EQ(hdf5_part("a/b.c%"), "a%2Fb.c%25");
  EXPECT_EQ(hdf5_part("."), "%2E");
  EXPECT_EQ(hdf5_part("..x"), "%2E.x");
}

}  // namespace
}  // namespace keyshard::testing
