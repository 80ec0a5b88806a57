#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "runtime/digest.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kRankFile = "rank-0001-of-0002.h5";

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// A checkpoint of two ranks, which tests change and then expect to be refused.
class CheckpointDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    save(files_, folder_.path(), state_, 2);
    path_ = folder_ / "step-000007";
    ASSERT_EQ(refusal_of(path_), "");
  }

  std::string file(const std::string& name) const { return path_ + "/" + name; }

  /// Expects a refusal that names the file and the reason.
  void expect_refused(const std::string& name, const std::string& reason) const {
    const std::string refusal = refusal_of(path_);
    EXPECT_TRUE(refusal.starts_with("corrupt: ")) << refusal;
    EXPECT_NE(refusal.find(name), std::string::npos) << refusal;
    EXPECT_NE(refusal.find(reason), std::string::npos) << refusal;
  }

  /// Replaces a text in the manifest and gives the manifest the right digest again.
  void edit_manifest(const std::string& from, const std::string& to) const {
    std::string text = read_all(file("manifest.json"));
    const std::size_t tail = text.rfind(",\n  \"digest\"");
    const std::size_t place = text.find(from);
    ASSERT_LT(place, tail);
    text = text.substr(0, tail).replace(place, from.size(), to);
    text += ",\n  \"digest\": \"" + digest_of(text.data(), text.size()).hex() + "\"\n}\n";
    write_all(file("manifest.json"), text);
  }

  LocalFileSystem files_;
  TestFolder folder_;
  TestState state_{7, 4, 24};
  std::string path_;
};

TEST_F(CheckpointDamage, AnyFlippedByteIsRefused) {
  std::size_t flips = 0;
  for (const std::string& name : names_in(path_)) {
    const std::string good = read_all(file(name));
    for (std::size_t at = flips % 37; at < good.size(); at += 37) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (++flips % 8)));
      write_all(file(name), bad);
      const std::string refusal = refusal_of(path_);
      ASSERT_TRUE(refusal.starts_with("corrupt: ")) << name << " byte " << at << ": " << refusal;
      ASSERT_NE(refusal.find(name), std::string::npos) << refusal;
    }
    write_all(file(name), good);
  }
  EXPECT_GT(flips, 300U);
  EXPECT_EQ(refusal_of(path_), "");
}

TEST_F(CheckpointDamage, ATruncatedOrLongerFileIsRefused) {
  for (const std::string& name : names_in(path_)) {
    const std::string good = read_all(file(name));
    for (const std::size_t size : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
      write_all(file(name), good.substr(0, size));
      expect_refused(name, "expected");
    }
    write_all(file(name), good + "x");
    expect_refused(name, "expected");
    write_all(file(name), good);
  }
}

TEST_F(CheckpointDamage, AMissingFileIsRefused) {
  for (const std::string& name : names_in(path_)) {
    std::filesystem::rename(file(name), folder_ / "elsewhere");
    expect_refused(name, "found n");
    std::filesystem::rename(folder_ / "elsewhere", file(name));
  }
}

TEST_F(CheckpointDamage, ADoubledOrForeignFileIsRefused) {
  std::filesystem::copy(file(kRankFile), file("rank-0002-of-0002.h5"));
  expect_refused("rank-0002-of-0002.h5", "foreign");
  std::filesystem::remove(file("rank-0002-of-0002.h5"));
  write_all(file("notes.txt"), "hello");
  expect_refused("notes.txt", "foreign");
  std::filesystem::remove(file("notes.txt"));
  std::filesystem::create_directory(file("folder"));
  expect_refused("folder", "expected a file");
}

TEST_F(CheckpointDamage, OneFileInPlaceOfAnotherIsRefused) {
  std::filesystem::copy(file("rank-0000-of-0002.h5"), file(kRankFile),
                        std::filesystem::copy_options::overwrite_existing);
  expect_refused(kRankFile, "expected");
}

TEST_F(CheckpointDamage, FilesOfTwoStepsMixedAreRefused) {
  TestState later = state_;
  later.step = 8;
  save(files_, folder_.path(), later, 2);
  const std::string good = read_all(file(kRankFile));
  std::filesystem::copy(folder_ / "step-000008/" + kRankFile, file(kRankFile),
                        std::filesystem::copy_options::overwrite_existing);
  expect_refused(kRankFile, "expected the digest");
  write_all(file(kRankFile), good);
  std::filesystem::copy(folder_ / "step-000008/manifest.json", file("manifest.json"),
                        std::filesystem::copy_options::overwrite_existing);
  expect_refused("step-000007", "found step 8 in its manifest");
}

TEST_F(CheckpointDamage, ASymbolicLinkIsRefused) {
  for (const std::string& name : names_in(path_)) {
    std::filesystem::rename(file(name), folder_ / "outside");
    std::filesystem::create_symlink(folder_ / "outside", file(name));
    expect_refused(name, "symbolic link");
    std::filesystem::remove(file(name));
    std::filesystem::rename(folder_ / "outside", file(name));
  }
}

TEST_F(CheckpointDamage, ANewerFormatIsRefused) {
  edit_manifest("\"format\": 2", "\"format\": 4");
  expect_refused("manifest.json", "expected format version 1 to 3");
}

TEST_F(CheckpointDamage, AManifestThatContradictsItselfIsRefused) {
  const std::string good = read_all(file("manifest.json"));
  const std::vector<std::pair<std::string, std::string>> edits{
      {"\"ranks\": 2", "\"ranks\": 3"},
      {"\"ranks\": 2", "\"ranks\": -2"},
      {"\"ranks\": 2", "\"ranks\": 99999999999999"},
      {"\"ranks\": 2", "\"ranks\": \"2\""},
      {"\"step\": 7", "\"stop\": 7"},
      {"\"width\":3", "\"width\":4"},
      {"\"width\":3", "\"width\":281474976710656"},
      {"\"type\":\"f32\"", "\"type\":\"f64\""},
      {"\"type\":\"f32\"", "\"type\":\"f16\""},
      {"\"rows\":[", "\"rows\":[1,"},
      {"\"rows\":[", "\"rows\":[281474976710656,"},
      {"\"name\":\"rank-0000-of-0002.h5\"", "\"name\":\"../rank-0000-of-0002.h5\""},
      {"\"digests\":\"", "\"digests\":\"00"},
      {"\"digests\":\"", "\"digests\":["}};
  for (const auto& [from, to] : edits) {
    SCOPED_TRACE(to);
    edit_manifest(from, to);
    expect_refused("step-000007", "expected");
    write_all(file("manifest.json"), good);
  }
}

TEST_F(CheckpointDamage, ADigestOfAColumnThatDiffersIsRefusedWhereItIsRead) {
  const std::string text = read_all(file("manifest.json"));
  const std::string start = "\"digests\":\"";
  const std::string first = text.substr(text.find(start), start.size() + 32);
  edit_manifest(first, start + std::string(32, '0'));
  expect_refused("rank-0000-of-0002.h5", "table user, shard 0, column keys: expected digest");
}

}  // namespace
}  // namespace keyshard::testing
