// The bytes of a file between the datasets of a manifest, and their digest.
#include "io/dataset_places.hpp"

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

/// Two ranks with a shard each: three rows of rank 0 and none of rank 1; a dense part in the file
/// of rank 0.
Manifest some_manifest() {
  Manifest manifest;
  manifest.ranks = 2;
  ManifestTable table;
  table.shape.columns = {{"values", ElementType::f32, 4}};
  table.shards = 2;
  table.filled = {0};
  table.rows = {3};
  table.offsets = {40, 64, 0, 0};  // 24 bytes of keys, 48 of values
  manifest.tables = {table};
  manifest.dense = {{"weights", ElementType::f32, {3, 5}, 200, {}}};
  manifest.files = {{"rank-0000-of-0002.h5", 300, {}}, {"rank-0001-of-0002.h5", 200, {}}};
  return manifest;
}

TEST(FilePieces, TheRestOfAFileIsWhatNoDatasetHas) {
  const Manifest manifest = some_manifest();
  EXPECT_EQ(pieces_of(manifest, manifest.files[0], 0, "M").rest(),
            (std::vector<Range>{{0, 40}, {112, 200}, {260, 300}}));
  EXPECT_EQ(pieces_of(manifest, manifest.files[1], 1, "M").rest(), (std::vector<Range>{{0, 200}}));
  FilePieces whole("M", {"a", 48, {}});
  whole.add({"w", ElementType::f32, {12}, 0, {}});
  EXPECT_EQ(whole.rest(), std::vector<Range>());
}

TEST(RestDigest, IsThatOfTheBytesOfItsRunsInTheirOrder) {
  const testing::ScratchFolder folder;
  std::string text(3 << 20, 'x');  // more than is read at once
  for (std::size_t i = 0; i < text.size(); ++i) {
    text[i] = static_cast<char>(i * i >> 7);
  }
  folder.write("file", text);
  LocalFileSystem files;
  const std::string path = folder.path("file");
  const std::string rest = text.substr(5, 2) + text.substr(9, (2 << 20) + 1);
  EXPECT_EQ(rest_digest(files, path, {{5, 7}, {9, 9 + (2 << 20) + 1}}),
            digest_of(rest.data(), rest.size()));
  EXPECT_EQ(rest_digest(files, path, {}), digest_of("", 0));
  try {
    rest_digest(files, path, {{(3 << 20) - 1, (3 << 20) + 2}});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_EQ(folder.without_path(error.text()),
              "file: expected 3 bytes at offset 3145727: found 1");
  }
}

}  // namespace
}  // namespace keyshard
