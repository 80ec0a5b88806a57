// Checkpoints that are changed at random and sealed again with the right digests: a load ends in
// Error{corrupt_data} or has exactly what was saved, and nothing else.
#include <array>
#include <filesystem>
#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/checkpoint_edit.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t bound) { return random() % bound; }

/// Changes a text at one place, within [begin, end).
std::string mutated(std::string text, std::size_t begin, std::size_t end, Random& random) {
  static constexpr std::array<const char*, 12> kPieces{"0",
                                                       "-1",
                                                       "281474976710656",
                                                       "9223372036854775807",
                                                       "99999999999999999999",
                                                       "1e400",
                                                       "[]",
                                                       "{}",
                                                       "null",
                                                       "\"x\"",
                                                       "[[[[",
                                                       ","};
  const std::size_t at = begin + below(random, end - begin);
  const std::size_t length = 1 + below(random, std::min<std::size_t>(end - at, 40));
  switch (below(random, 5)) {
    case 0:
      text[at] = static_cast<char>(text[at] ^ (1 << below(random, 8)));
      return text;
    case 1:
      return text.erase(at, length);
    case 2:
      return text.insert(at, text.substr(at, length));
    case 3:
      return text.insert(at, kPieces[below(random, kPieces.size())]);
    default: {
      // Another number in place of one.
      const std::size_t digit = text.find_first_of("0123456789", at);
      if (digit >= end) {
        return text.erase(at, length);
      }
      const std::size_t last = text.find_first_not_of("0123456789", digit);
      return text.replace(digit, last - digit, kPieces[below(random, kPieces.size())]);
    }
  }
}

class CheckpointMutation : public ::testing::Test {
 protected:
  void SetUp() override {
    LocalFileSystem files;
    save(files, folder_.path(), state_, 2);
    good_ = folder_ / "good";
    std::filesystem::rename(folder_ / "step-000007", good_);
  }

  /// Loads the checkpoint that `change` makes of the good one; counts how that ends.
  void load_changed(const std::function<void(const std::string& path)>& change) {
    const std::string path = folder_ / "step-000007";
    std::filesystem::remove_all(path);
    std::filesystem::copy(good_, path);
    change(path);
    try {
      expect_loads(path, state_, 2, 1, FileCheck::as_read);
      ++loaded_;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::corrupt_data) << error.text();
      EXPECT_NE(error.text().find(path), std::string::npos) << error.text();
      ++refused_;
    }
  }

  TestFolder folder_;
  TestState state_{7, 4, 24};
  std::string good_;
  int loaded_ = 0;
  int refused_ = 0;
};

TEST_F(CheckpointMutation, OfTheManifestIsRefusedOrChangesNothing) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    load_changed([&](const std::string& path) {
      const std::string body = body_of(read_all(path + "/manifest.json"));
      // Not of configuration and state, which are read by whoever saved them.
      const std::size_t begin = seed % 4 == 0 ? 0 : body.find("\"files\"");
      const std::size_t end = seed % 4 == 0 ? body.find("\"state\"") : body.size();
      write_all(path + "/manifest.json", sealed(mutated(body, begin, end, random)));
    });
  }
  EXPECT_GT(refused_, 200);
  EXPECT_GT(loaded_, 0);
}

TEST_F(CheckpointMutation, OfTheFilesIsRefusedOrChangesNothing) {
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    load_changed([&](const std::string& path) {
      const std::string name = fmt::format("rank-000{}-of-0002.h5", seed % 2);
      std::string content = read_all(path + "/" + name);
      for (std::size_t changes = 1 + below(random, 4); changes > 0; --changes) {
        const std::size_t at = below(random, content.size());
        content[at] = static_cast<char>(random());
      }
      content.resize(seed % 16 == 0 ? below(random, content.size()) : content.size());
      replace_file(path, name, content);
    });
  }
  EXPECT_GT(refused_, 20);  // rows
  EXPECT_GT(loaded_, 20);   // what HDF5 alone uses
}

}  // namespace
}  // namespace keyshard::testing
