// Vectors from text and from numpy: whole on any number of ranks, and every way in which a file can
// be none.
#include "io/vector_source.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/numpy_array.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

using Floats = std::vector<float>;

/// The bytes of numbers, as they lie in memory here.
template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  std::string bytes(numbers.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

/// A .npy file by the definition of the format.
std::string npy(const std::string& dictionary, const std::string& bytes, int version = 1) {
  std::string header = dictionary + "\n";
  std::string file = std::string("\x93NUMPY", 6) + static_cast<char>(version) + '\0';
  file += static_cast<char>(header.size() % 256);
  file += static_cast<char>(header.size() / 256);
  return file + (version == 2 ? std::string(2, '\0') : "") + header + bytes;
}

std::string header(const std::string& type, const std::string& shape) {
  return "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
}

/// What all ranks read, by place.
struct Found {
  std::map<std::int64_t, std::pair<Key, Floats>> vectors;
  std::string last_place;
};

class Vectors : public ::testing::Test {
 protected:
  Found read(int ranks, const VectorFormat& format, const std::string& name) {
    Found found;
    std::mutex mutex;
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      const std::string path = folder_.path(name);
      const auto source = std::filesystem::is_directory(path)
                              ? numpy_vectors(path, format, communicator)
                              : text_vectors(path, format, communicator);
      for (VectorPiece piece; source->next(piece);) {
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < piece.keys.size(); ++i) {
          const auto row = piece.values.begin() + static_cast<std::ptrdiff_t>(i) * format.width;
          const bool is_new =
              found.vectors
                  .emplace(piece.places[i],
                           std::pair(piece.keys[i], Floats(row, row + format.width)))
                  .second;
          EXPECT_TRUE(is_new) << "place " << piece.places[i];
        }
        found.last_place = source->place(found.vectors.rbegin()->first);
      }
    });
    return found;
  }

  /// The message about a file; a prefix with the number of a rank is left out.
  std::string problem(const VectorFormat& format, const std::string& name, int ranks = 1) {
    try {
      read(ranks, format, name);
    } catch (const Error& error) {
      const std::size_t at = error.text().find(folder_.path(name));
      return at == std::string::npos ? error.text()
                                     : error.text().substr(at + folder_.path("").size());
    }
    return "none";
  }

  std::string arrays(const std::string& keys, const std::string& values) {
    std::filesystem::create_directories(folder_.path("arrays"));
    folder_.write("arrays/keys.npy", keys);
    folder_.write("arrays/values.npy", values);
    return "arrays";
  }

  ScratchFolder folder_;
};

TEST_F(Vectors, OfTextAreReadWholeOnAnyNumberOfRanks) {
  std::string text;
  std::map<std::int64_t, std::pair<Key, Floats>> expected;
  for (std::int64_t line = 1; line <= 200; ++line) {
    if (line % 17 == 0) {
      text += line % 2 == 0 ? "\n" : " \t\r\n";
      continue;
    }
    const float value = static_cast<float>(line) * 0.5f;
    text += fmt::format("{}{}{} -1e-1\t {}{}", line % 3 == 0 ? " " : "", -line,
                        line % 5 == 0 ? "\t" : " ", value,
                        line == 200     ? ""
                        : line % 7 == 0 ? " \r\n"
                                        : "\n");
    expected[line] = {static_cast<Key>(-line), {-0.1f, value}};
  }
  folder_.write("v.txt", text);
  for (const int ranks : {1, 2, 3, 5, 8}) {
    const Found found = read(ranks, {"t", 2, false}, "v.txt");
    EXPECT_EQ(found.vectors, expected) << ranks << " ranks";
    EXPECT_EQ(found.last_place, folder_.path("v.txt") + ":200");
  }
  folder_.write("one.txt", "5 1 2");
  EXPECT_EQ(read(8, {"t", 2, false}, "one.txt").vectors.size(), 1u);
  folder_.write("none.txt", "");
  EXPECT_EQ(read(2, {"t", 2, false}, "none.txt").vectors.size(), 0u);
}

TEST_F(Vectors, OfTextMayBeLongerThanAReadAndHaveAByteOrderMark) {
  std::string text = "\xEF\xBB\xBF";
  const std::int64_t width = 300'000;  // a line of 1.2 MB
  for (int line = 0; line < 3; ++line) {
    text += fmt::format("{}", line);
    for (std::int64_t i = 0; i < width; ++i) {
      text += i % 2 == 0 ? " 1.5" : " 2.0";
    }
    text += "\n";
  }
  folder_.write("v.txt", text);
  for (const int ranks : {1, 4}) {
    const Found found = read(ranks, {"t", width, false}, "v.txt");
    ASSERT_EQ(found.vectors.size(), 3u);
    EXPECT_EQ(found.vectors.at(3).first, 2u);
    EXPECT_EQ(found.vectors.at(1).second[1], 2.0f);
  }
}

TEST_F(Vectors, OfStringsHaveTheKeysThatDataHave) {
  folder_.write("v.txt", "apple 1\n\xC3\xA9t\xC3\xA9 2\n7 3\n");
  const Found found = read(2, {"fruit", 1, true}, "v.txt");
  const std::uint64_t seed = hash_bytes("fruit");
  EXPECT_EQ(found.vectors.at(1).first, hash_bytes("apple", seed));
  EXPECT_EQ(found.vectors.at(2).first, hash_bytes("\xC3\xA9t\xC3\xA9", seed));
  EXPECT_EQ(found.vectors.at(3).first, hash_bytes("7", seed));
  const Found named = read(2, {"fruit", 1, true, TextHash::farmhash64}, "v.txt");
  EXPECT_EQ(named.vectors.at(1).first, farmhash64("apple"));
}

TEST_F(Vectors, OfTextThatAreNoneAreToldWithTheirLine) {
  const VectorFormat format{"t", 2, false};
  const std::string good = "1 0 0\n2 0 0\n3 0 0\n4 0 0\n";
  for (const int ranks : {1, 2, 4}) {
    folder_.write("v.txt", good + "5 1\n" + good);
    EXPECT_EQ(problem(format, "v.txt", ranks),
              "v.txt:5: expected a key and 2 numbers, the dim of table t: found 1 numbers");
    folder_.write("v.txt", good + good + "\n5 1 2 3\n");
    EXPECT_EQ(problem(format, "v.txt", ranks),
              "v.txt:10: expected a key and 2 numbers, the dim of table t: found 3 numbers");
    folder_.write("v.txt", good + "5 1 1e39\n" + good);
    EXPECT_EQ(problem(format, "v.txt", ranks),
              "v.txt:5: expected numbers that are finite as float32: found \"1e39\"");
    folder_.write("v.txt", good + "five 1 1\n" + good);
    EXPECT_EQ(problem(format, "v.txt", ranks),
              "v.txt:5: expected an integer of 64 bits as the key, for the ids of table t are "
              "integers: found \"five\"");
  }
  folder_.write("v.txt", "400000 300\n1 2 3\n");
  EXPECT_EQ(problem({"t", 300, true}, "v.txt"),
            "v.txt:1: expected a key and 300 numbers, the dim of table t: found 1 numbers; a first "
            "line with counts is to be taken out");
}

TEST_F(Vectors, OfNumpyAreReadInEveryTypeOnAnyNumberOfRanks) {
  const std::map<std::int64_t, std::pair<Key, Floats>> expected{
      {0, {1, {0.5f, -2}}}, {1, {~Key{0}, {65504, 0}}}, {2, {3, {0x1p-24f, 1}}}};
  const std::vector<std::pair<std::string, std::string>> keys{
      {"<i8", bytes_of<std::int64_t>({1, -1, 3})},
      {"<u8", bytes_of<std::uint64_t>({1, ~std::uint64_t{0}, 3})},
      {"<i4", bytes_of<std::int32_t>({1, -1, 3})}};
  const std::vector<std::pair<std::string, std::string>> values{
      {"<f4", bytes_of<float>({0.5f, -2, 65504, 0, 0x1p-24f, 1})},
      {"<f8", bytes_of<double>({0.5, -2, 65504, 0, 0x1p-24, 1})},
      {"<f2", bytes_of<std::uint16_t>({0x3800, 0xC000, 0x7BFF, 0, 0x0001, 0x3C00})}};
  for (const auto& [key_type, key_bytes] : keys) {
    for (const auto& [value_type, value_bytes] : values) {
      arrays(npy(header(key_type, "3,"), key_bytes, 2),
             npy(header(value_type, "3, 2"), value_bytes));
      for (const int ranks : {1, 2, 4}) {
        const Found found = read(ranks, {"t", 2, false}, "arrays");
        EXPECT_EQ(found.vectors, expected) << key_type << " " << value_type << " " << ranks;
        EXPECT_EQ(found.last_place, folder_.path("arrays/keys.npy[2]"));
      }
    }
  }
}

/// A good pair of arrays, of which a test replaces one.
class NumpyArrays : public Vectors {
 protected:
  /// The message about these two files has this part.
  void told(const std::string& k, const std::string& v, const std::string& part) {
    const std::string found = problem({"t", 2, false}, arrays(k, v));
    EXPECT_NE(found.find(part), std::string::npos) << found;
  }

  const std::string keys = npy(header("<i8", "2,"), bytes_of<std::int64_t>({1, 2}));
  const std::string values = npy(header("<f4", "2, 2"), bytes_of<float>({1, 2, 3, 4}));
};

TEST_F(NumpyArrays, OfAnotherTypeOrShapeAreToldWhatWasFound) {
  told(npy(header(">i8", "2,"), bytes_of<std::int64_t>({1, 2})), values,
       "keys.npy: expected numbers of type <i4, <i8, <u8, <f2, <f4 or <f8 (little-endian): found "
       "\">i8\"");
  told(npy(header("<f8", "2,"), bytes_of<double>({1, 2})), values,
       "keys.npy: expected keys of type <i8, <u8 or <i4: found <f8");
  told(keys, npy(header("<i4", "2, 2"), bytes_of<std::int32_t>({1, 2, 3, 4})),
       "values.npy: expected values of type <f4, <f8 or <f2: found <i4");
  told(npy(header("<i8", "2, 1"), bytes_of<std::int64_t>({1, 2})), values,
       "keys.npy: expected an array of one axis: found the shape [2, 1]");
  told(keys, npy(header("<f4", "2, 3"), bytes_of<float>({1, 2, 3, 4, 5, 6})),
       "values.npy: expected the shape [2, 2], for the keys and the dim of table t: found [2, 3]");
  told(keys,
       npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}",
           bytes_of<float>({1, 2, 3, 4})),
       "values.npy: expected an array in C order: found fortran_order = True");
  told(
      keys, npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2)}", ""),
      "values.npy: expected a name in quotes (a type of several fields is not read) in the header: "
      "found \"[('a', '<f4')]");
  told(keys, values.substr(0, values.size() - 1),
       "values.npy: expected 16 bytes for the shape [2, 2] of <f4: found 15");
  told(keys, npy(header("<f4", "99999999999, 99999999999"), ""),
       "values.npy: expected a shape that the file has room for");
}

TEST_F(NumpyArrays, AndTextsGiveDoublesEveryBitOfTheirNumbers) {
  const std::vector<double> expected{0.1, -1e300, 1.0 / 3, 5e-324};
  const std::string name = arrays(keys, npy(header("<f8", "2, 2"), bytes_of<double>(expected)));
  folder_.write("v.txt", fmt::format("1 {} {}\n2 {} {}\n", expected[0], expected[1], expected[2],
                                     expected[3]));
  VectorFormat format{"t", 2, false};
  format.doubles = true;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    VectorPiece from_arrays, from_text;
    numpy_vectors(folder_.path(name), format, communicator)->next(from_arrays);
    text_vectors(folder_.path("v.txt"), format, communicator)->next(from_text);
    for (const VectorPiece& piece : {from_arrays, from_text}) {
      ASSERT_EQ(piece.values.size(), 8u);
      std::vector<double> found(4);
      std::memcpy(found.data(), piece.values.data(), 8 * sizeof(float));
      EXPECT_EQ(found, expected);
    }
  });
}

TEST_F(NumpyArrays, ThatAreNoneAreToldWhatWasFound) {
  told(keys, "PK\x03\x04 and so on", "values.npy: expected a file of numpy");
  std::string newer = values;
  newer[6] = 3;
  told(keys, newer, "values.npy: expected version 1 or 2 of numpy's format: found 3");
  told(keys, npy("{'descr': '<f4', 'shape': (2, 2)}", ""),
       "expected descr, fortran_order and shape in the header");
  told(keys, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, x)}", ""),
       "values.npy: expected a shape in the header");
  told(keys,
       npy(header("<f4", "2, 2"),
           bytes_of<float>({1, 2, 3, std::numeric_limits<float>::infinity()})),
       "values.npy[1]: expected numbers that are finite as float32");
}

}  // namespace
}  // namespace keyshard::testing
