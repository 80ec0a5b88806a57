#include <filesystem>
#include <functional>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/manifest.hpp"
#include "runtime/error.hpp"
#include "tests/io/checkpoint_edit.hpp"
#include "tests/io/checkpoint_fixture.hpp"

namespace keyshard::testing {
namespace {

constexpr const char* kRankFile = "rank-0001-of-0002.h5";

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

  void edit_manifest(const std::string& from, const std::string& to) const {
    testing::edit_manifest(path_, from, to);
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
      ASSERT_EQ(refusal_of(path_, FileCheck::as_read), refusal) << name << " byte " << at;
    }
    write_all(file(name), good);
  }
  EXPECT_GT(flips, 300U);
  EXPECT_EQ(refusal_of(path_), "");
  EXPECT_EQ(refusal_of(path_, FileCheck::as_read), "");
}

/// Gives the rest of a file the digest of no bytes.
void break_rest(const std::string& path) {
  const std::string body = body_of(read_all(path + "/manifest.json"));
  const std::size_t at = body.find("\"rest\":\"");
  edit_manifest(path, body.substr(at, 8 + 32), "\"rest\":\"" + digest_of("", 0).hex());
}

TEST_F(CheckpointDamage, ADigestThatIsNotOfTheBytesBetweenDatasetsIsRefused) {
  break_rest(path_);
  const std::string refusal = refusal_of(path_, FileCheck::as_read);
  EXPECT_NE(refusal.find("rank-0000-of-0002.h5: expected the digest " + digest_of("", 0).hex() +
                         " of the bytes in no dataset: found "),
            std::string::npos)
      << refusal;
}

TEST_F(CheckpointDamage, FilesWithoutADigestOfTheirRestAreCheckedBeforeTheyAreRead) {
  std::string body = body_of(read_all(file("manifest.json")));
  for (std::size_t at; (at = body.find(",\"rest\":")) != std::string::npos;) {
    body.erase(at, body.find('}', at) - at);
  }
  write_all(file("manifest.json"), sealed(body));
  expect_loads(path_, state_, 3, 2, FileCheck::as_read);
  std::string bytes = read_all(file(kRankFile));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_all(file(kRankFile), bytes);
  EXPECT_EQ(refusal_of(path_, FileCheck::as_read), refusal_of(path_));
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

/// Binds a socket at a path.
void make_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const int made = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(made);
}

TEST_F(CheckpointDamage, AManifestThatIsNoFileIsRefusedByItsName) {
  const std::string manifest = file("manifest.json"), good = read_all(manifest);
  const auto refused_as = [&](const std::function<void()>& make, const std::string& reason) {
    std::filesystem::remove(manifest);
    make();
    expect_refused("manifest.json", reason);
  };
  const std::string kind = "manifest.json: expected a file: found a folder, a symbolic link or";
  refused_as([] {}, "found no manifest.json");
  refused_as([&] { std::filesystem::create_directory(manifest); }, kind);
  refused_as([&] { std::filesystem::create_symlink(folder_ / "nowhere", manifest); }, kind);
  refused_as([&] { ASSERT_EQ(::mkfifo(manifest.c_str(), 0600), 0); }, kind);
  refused_as([&] { make_socket(manifest); }, kind);
  refused_as([&] { write_all(manifest, ""); }, "expected a manifest that ends with its digest");
  write_all(manifest, good);
  EXPECT_EQ(refusal_of(path_), "");
}

TEST_F(CheckpointDamage, AManifestLargerThanItsFilesAllowIsRefusedUnread) {
  std::filesystem::resize_file(file("manifest.json"), std::uintmax_t{1} << 40);  // takes no room
  expect_refused("manifest.json", "for these files of a checkpoint: found 1099511627776");
}

/// So many zeros of a list.
std::string zeros(std::int64_t count) {
  std::string list = "0";
  for (std::int64_t i = 1; i < count; ++i) {
    list += ",0";
  }
  return list;
}

TEST_F(CheckpointDamage, MoreValuesThanItsFilesAllowAreRefusedBeforeTheyAreThere) {
  std::int64_t bytes = 0;
  for (const FileEntry& entry : files_.list(path_)) {
    bytes += entry.name == "manifest.json" ? 0 : entry.bytes;
  }
  const std::int64_t most = 98'304 + bytes / 24;  // FORMATS.md
  const std::string good = read_all(file("manifest.json")), many = zeros(most);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"config\": ", "\"config\": [" + many + "],\n  \"others\": "},
           {"\"state\": ", "\"state\": [" + many + "],\n  \"others\": "},
           {"\"files\": [", "\"more\": [" + many + "],\n  \"files\": ["},
           {"\"files\": [", "\"more\": \"" + std::string(static_cast<std::size_t>(32 * most), '0') +
                                "\",\n  \"files\": ["},
           {"\"files\": [",
            std::string(static_cast<std::size_t>(32 * most) + (1 << 20), ' ') + "\"files\": ["},
           {"\"options\":", "\"options\":[" + many + "],\"others\":"},
           {"\"filled\":[", "\"filled\":[" + many + ","},
           {"\"rows\":[", "\"rows\":[" + many + ","},
           {"\"offsets\":[", "\"offsets\":[" + many + ","},
           {"\"shape\":[", "\"shape\":[" + many + ","}}) {
    edit_manifest(from, to);
    expect_refused("manifest.json", fmt::format("found more than {} values", most));
    write_all(file("manifest.json"), good);
  }
}

/// Why the text of a manifest is refused that ends with its digest; empty: it is not.
std::string refusal_of_text(const std::string& body, std::int64_t most_values) {
  try {
    parse_manifest(sealed(body), "M", most_values);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

TEST_F(CheckpointDamage, OptionsOfAllTablesAreCountedTogether) {
  std::string body = body_of(read_all(file("manifest.json")));
  const std::string table = ",{\"name\":\"e\",\"columns\":[],\"options\":[" + zeros(600) +
                            "],\"shards\":0,\"filled\":[],\"rows\":[],\"offsets\":[0,0],"
                            "\"owners\":[],\"digests\":\"\"}";
  for (int i = 0; i < 100; ++i) {
    body.insert(body.rfind(']'), table);
  }
  const auto refusal = [&](std::int64_t most) { return refusal_of_text(body, most); };
  // 601 values of options of each of these tables, and few of all else.
  EXPECT_NE(refusal(60'000).find("found more than 60000 values"), std::string::npos);
  EXPECT_NE(refusal(62'000).find("expected the state digest"), std::string::npos)
      << refusal(62'000);
}

TEST_F(CheckpointDamage, DigestsAndColumnsOfAllTablesAreCountedTogether) {
  // A digest is 16 bytes in memory, a shard with rows 16 more; 104 bytes are a value.
  std::string filled = "0", rows = "1", columns;
  for (int i = 1; i < 1024; ++i) {
    filled += fmt::format(",{}", i);
    rows += ",1";
  }
  for (int i = 0; i < 1024; ++i) {
    columns +=
        fmt::format("{}{{\"name\":\"{}\",\"type\":\"u8\",\"width\":1}}", i > 0 ? "," : "", i);
  }
  const std::string shards = fmt::format(
      ",{{\"name\":\"e\",\"columns\":[],\"options\":{{}},\"shards\":1024,\"filled\":[{}],"
      "\"rows\":[{}],\"offsets\":[0,0],\"owners\":[],\"digests\":\"{}\"}}",
      filled, rows, std::string(32 * 1024, '0'));
  const std::string wide = fmt::format(
      ",{{\"name\":\"e\",\"columns\":[{}],\"options\":{{}},\"shards\":0,\"filled\":[],\"rows\":[],"
      "\"offsets\":[{}],\"owners\":[],\"digests\":\"\"}}",
      columns, zeros(2 * 1025));
  // Kept of each: 1,024 x 32 bytes; 1,024 columns of 48 bytes at least, and 2,050 offsets.
  for (const auto& [table, kept] : {std::pair(shards, 300), std::pair(wide, 600)}) {
    std::string body = body_of(read_all(file("manifest.json")));
    for (int i = 0; i < 100; ++i) {
      body.insert(body.rfind(']'), table);
    }
    EXPECT_NE(refusal_of_text(body, 100 * kept).find("found more than"), std::string::npos);
    EXPECT_EQ(refusal_of_text(body, 1'000'000).find("found more than"), std::string::npos);
  }
}

TEST_F(CheckpointDamage, CheckpointsOfEarlierFormatsLoad) {
  for (const int format : {3, 2}) {
    make_format(path_, format);
    expect_loads(path_, state_, 2);
    expect_loads(path_, state_, 3);
  }
}

TEST_F(CheckpointDamage, AnOffsetThatIsNotThatOfItsDatasetIsRefusedByFileAndDataset) {
  const std::string good = read_all(file("manifest.json"));
  const std::size_t begin = good.find("\"offsets\":[") + 10;
  const std::string keys = good.substr(begin, good.find(',', begin) - begin);  // "[NUMBER"
  const std::int64_t offset = std::stoll(keys.substr(1));
  const std::int64_t size =
      static_cast<std::int64_t>(std::filesystem::file_size(file("rank-0000-of-0002.h5")));
  for (const auto& [wrong, reason] :
       {std::pair(offset + 8, "/tables/user/"), std::pair(offset - 8, "table user, shard 0"),
        std::pair(size, "/tables/user/keys: expected"),
        std::pair(std::int64_t{1} << 48, "/tables/user/keys: expected")}) {
    SCOPED_TRACE(wrong);
    edit_manifest("\"offsets\":" + keys, fmt::format("\"offsets\":[{}", wrong));
    expect_refused("rank-0000-of-0002.h5", reason);
    write_all(file("manifest.json"), good);
  }
}

TEST_F(CheckpointDamage, WhatHdf5AloneUsesIsNotReadByALoad) {
  // The root group of a file of HDF5, among other things, lies in its first 800 bytes.
  const std::string good = read_all(file(kRankFile));
  replace_file(path_, kRankFile, std::string(800, '\xFF') + good.substr(800));
  expect_loads(path_, state_, 2);
  make_format(path_, 2);
  expect_refused(kRankFile, "HDF5 cannot open the file");
}

TEST_F(CheckpointDamage, ANewerFormatIsRefused) {
  edit_manifest("\"format\": 4", "\"format\": 5");
  expect_refused("manifest.json", "expected format version 1 to 4");
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

TEST_F(CheckpointDamage, AColumnWithoutItsDigestIsRefusedWhereItIsRead) {
  const std::string name = "rank-0000-of-0002.h5";
  const std::string manifest = read_all(file("manifest.json"));
  const std::size_t keys = std::stoull(manifest.substr(manifest.find("\"offsets\":[") + 11));
  std::string content = read_all(file(name));
  content[keys] = static_cast<char>(content[keys] ^ 1);
  replace_file(path_, name, content);
  expect_refused(name, "table user, shard 0, column keys: expected digest");
}

}  // namespace
}  // namespace keyshard::testing
