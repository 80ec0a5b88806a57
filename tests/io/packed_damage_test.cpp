// Packed files, of the version without digests, that contradict their schema: each is refused with
// its name and the problem, when it is opened or when its samples are read.
#include <cmath>
#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "io/packed_schema.hpp"
#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

using testing::complaint;
using testing::read_in_order;
using testing::Sample;
using testing::ScratchFolder;

/// What a packed file of three samples, two features and one dense column holds.
struct Content {
  std::string format = kPackedFormat;
  std::int64_t version = kUncheckedVersion;
  std::string schema = R"({"dense": ["x"], "features": ["c", "d"], "weighted": true})";
  std::vector<float> labels{1, 0, 1};
  std::vector<float> weights{1, 2, 0.5f};
  std::vector<float> dense{5, 6, 7};
  std::vector<std::int64_t> id_offsets{0, 1, 1, 3, 4, 4, 4};
  std::vector<std::uint64_t> ids{10, 11, 12, 13};
  std::vector<std::int64_t> blocks{2, 0, 1};
  std::string without;  ///< the dataset that is missing
};

class PackedDamage : public ::testing::Test {
 protected:
  /// Writes a new packed file. Returns its path.
  std::string write(const Content& content) {
    const std::string path = folder_.path("packed-" + std::to_string(++files_) + ".h5");
    Hdf5File file = Hdf5File::create(path);
    file.set_text("/", "format", content.format);
    file.set_integer("/", "version", content.version);
    file.set_text("/", "schema", content.schema);
    const auto column = [&](const std::string& name, ElementType type, const auto& values) {
      if (name != content.without) {
        file.write(name, type, {static_cast<std::int64_t>(values.size())}, values.data());
      }
    };
    column("labels", ElementType::f32, content.labels);
    column("weights", ElementType::f32, content.weights);
    column("id_offsets", ElementType::i64, content.id_offsets);
    column("ids", ElementType::u64, content.ids);
    column("blocks", ElementType::i64, content.blocks);
    if (content.without != "dense") {
      file.write("dense", ElementType::f32, {static_cast<std::int64_t>(content.dense.size()), 1},
                 content.dense.data());
    }
    file.close();
    return path;
  }

  /// The error of a job that reads files of these contents.
  std::string complaint_of(const std::vector<Content>& contents) {
    DataOptions options;
    options.format = DataFormat::packed;
    for (const Content& content : contents) {
      options.train.push_back(write(content));
    }
    return folder_.without_path(complaint(options));
  }

  /// Expects that a changed file is refused by its name, with `part` in the message.
  void expect_refused(const std::string& part, const std::function<void(Content&)>& change) {
    Content content;
    change(content);
    const std::string message = complaint_of({content});
    EXPECT_NE(message.find("packed-" + std::to_string(files_) + ".h5:"), std::string::npos)
        << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }

  ScratchFolder folder_;
  int files_ = 0;
};

TEST_F(PackedDamage, AFileByTheFormatIsReadAsItStands) {
  DataOptions options;
  options.format = DataFormat::packed;
  options.train = {write({}), write({})};
  const std::vector<Sample> samples = read_in_order(options);

  ASSERT_EQ(samples.size(), 6u);
  EXPECT_EQ(samples[1].label, 0);
  EXPECT_EQ(samples[1].weight, 2);
  EXPECT_EQ(samples[1].dense, std::vector<float>{6});
  EXPECT_EQ(samples[0].bags, (std::vector<std::vector<Key>>{{10}, {}}));
  EXPECT_EQ(samples[1].bags, (std::vector<std::vector<Key>>{{11, 12}, {13}}));
  EXPECT_EQ(samples[5].bags, (std::vector<std::vector<Key>>{{}, {}}));
  EXPECT_EQ(samples[4].record, 4);
  EXPECT_EQ(samples[4].bags, samples[1].bags);
}

TEST_F(PackedDamage, WhatIsNoPackedFileIsRefusedByItsKey) {
  DataOptions options;
  options.format = DataFormat::packed;
  const auto refusal = [&](const std::string& path) {
    options.train = {path};
    return folder_.without_path(complaint(options));
  };
  EXPECT_EQ(refusal(folder_.path("absent.h5")),
            "rank 0: data.train: absent.h5: expected a packed file: No such file or directory");
  std::filesystem::create_directory(folder_.path("folder"));
  EXPECT_EQ(refusal(folder_.path("folder")),
            "rank 0: data.train: folder: expected a packed file: found a folder");
  const std::string reason =
      ": expected a packed file, as keyshard convert writes it (data.train): found no HDF5 file; "
      "data.format = \"text\" reads text";
  EXPECT_EQ(refusal(folder_.write("text.csv", "1,2,3\n4,5,6\n")), "rank 0: text.csv" + reason);
  EXPECT_EQ(refusal(folder_.write("empty.h5", "")), "rank 0: empty.h5" + reason);
}

TEST_F(PackedDamage, AnotherFormatOrVersionIsRefused) {
  expect_refused("expected a keyshard-packed file: found \"other\"",
                 [](Content& c) { c.format = "other"; });
  expect_refused("expected version 1 or 2: found 3", [](Content& c) { c.version = 3; });
  expect_refused("digest", [](Content& c) { c.version = 2; });
}

TEST_F(PackedDamage, ASchemaThatIsNoneIsRefused) {
  expect_refused("schema", [](Content& c) { c.schema = "{"; });
  expect_refused("expected a schema that is a table", [](Content& c) { c.schema = "[1]"; });
  expect_refused("dense", [](Content& c) { c.schema = R"({"dense": "x"})"; });
  expect_refused("weighted", [](Content& c) { c.schema = R"({"weighted": 1})"; });
  expect_refused("unknown key \"feature\"", [](Content& c) { c.schema = R"({"feature": []})"; });
}

TEST_F(PackedDamage, AMissingDatasetIsRefused) {
  for (const char* name : {"labels", "weights", "dense", "id_offsets", "blocks"}) {
    expect_refused(name, [&](Content& c) { c.without = name; });
  }
}

TEST_F(PackedDamage, ColumnsOfAnotherLengthAreRefused) {
  expect_refused("weights", [](Content& c) { c.weights.pop_back(); });
  expect_refused("dense", [](Content& c) { c.dense.push_back(8); });
  expect_refused("id_offsets", [](Content& c) { c.id_offsets.pop_back(); });
  expect_refused("id_offsets", [](Content& c) { c.labels.push_back(1); });
}

TEST_F(PackedDamage, OffsetsThatFallOrLeaveTheIdsAreRefused) {
  const std::string part = "expected ascending id_offsets of at most 4";
  expect_refused(part, [](Content& c) { c.id_offsets[2] = 0; });
  expect_refused(part, [](Content& c) { c.id_offsets[0] = -1; });
  expect_refused(part, [](Content& c) { c.id_offsets.back() = 5; });
  expect_refused("expected ascending id_offsets of at most 0",
                 [](Content& c) { c.without = "ids"; });
}

TEST_F(PackedDamage, BlocksThatAreNotTheSamplesAreRefused) {
  expect_refused("found a block of 2", [](Content& c) { c.blocks = {2, 2}; });
  expect_refused("found a block of -1", [](Content& c) { c.blocks = {-1, 4}; });
  expect_refused("found 1 samples in no block", [](Content& c) { c.blocks = {2}; });
  expect_refused("found a block of 9223372036854775807", [](Content& c) {
    c.blocks = {1, std::numeric_limits<std::int64_t>::max(), 1};
  });
}

TEST_F(PackedDamage, NumbersThatNoTextCouldHaveAreRefusedWithTheirSample) {
  const float infinite = std::numeric_limits<float>::infinity();
  expect_refused("sample 1: expected finite numbers", [&](Content& c) { c.dense[1] = infinite; });
  expect_refused("sample 2: expected finite numbers", [&](Content& c) { c.labels[2] = -infinite; });
  expect_refused("sample 0: expected finite numbers", [&](Content& c) { c.weights[0] = NAN; });
  expect_refused("sample 2: expected a weight of at least 0: found -0.5",
                 [](Content& c) { c.weights[2] = -0.5f; });
}

TEST_F(PackedDamage, LabelsThatTheLossCannotUseAreRefusedWithTheWayOut) {
  Content content;
  content.labels = {1, -1, 1};
  EXPECT_EQ(complaint_of({content}), "");
  DataOptions options;
  options.format = DataFormat::packed;
  options.labels = {0, 1, "log loss"};
  options.train = {write(content)};
  const std::string message = complaint(options);
  EXPECT_NE(
      message.find("sample 1: expected a label from 0 to 1, for log loss needs such: found -1; "
                   "convert the text again with positive = "),
      std::string::npos)
      << message;
}

TEST_F(PackedDamage, AFileWithAnotherSchemaThanTheFirstIsRefused) {
  const std::vector<std::pair<const char*, const char*>> schemas{
      {R"({"dense": ["x"], "features": ["c", "e"], "weighted": true})",
       "packed-2.h5: expected the features c d: found c e"},
      {R"({"dense": ["y"], "features": ["c", "d"], "weighted": true})",
       "packed-4.h5: expected the dense columns x: found y"},
      {R"({"dense": ["x"], "features": ["c", "d"], "weighted": false})",
       "packed-6.h5: expected weighted = true: found false"}};
  for (const auto& [schema, expected] : schemas) {
    Content other;
    other.schema = schema;
    const std::string message = complaint_of({Content{}, other});
    EXPECT_TRUE(message.ends_with(expected)) << message;
  }
}

TEST_F(PackedDamage, AFileWithoutIdsIsFineWhereAllBagsAreEmpty) {
  Content content;
  content.without = "ids";
  content.id_offsets.assign(7, 0);
  EXPECT_EQ(complaint_of({content}), "");
}

TEST_F(PackedDamage, AFileWithoutFeaturesOrDenseColumnsIsFine) {
  Content content;
  content.schema = "{}";
  content.without = "dense";
  content.id_offsets = {0};
  EXPECT_EQ(complaint_of({content}), "");
}

TEST(PackedSchema, ComesBackAsItWasWritten) {
  const ScratchFolder folder;
  const DataSchema schema{{"x", "\"quoted\", \xC3\xA4"}, {"C1", ""}, true};
  Hdf5File file = Hdf5File::create(folder.path("a.h5"));
  write_content(file, schema_text(schema), "d1");
  const DataSchema found = read_content(file).schema;
  EXPECT_EQ(read_content(file).digest, "d1");

  EXPECT_EQ(found.dense, schema.dense);
  EXPECT_EQ(found.features, schema.features);
  EXPECT_TRUE(found.weighted);
  EXPECT_EQ(file.text("/", "format"), "keyshard-packed");
  EXPECT_EQ(file.integer("/", "version"), 2);
}

TEST(PackedSchema, OfAnyOtherHdf5FileIsRefusedByItsName) {
  const ScratchFolder folder;
  Hdf5File::create(folder.path("a.h5")).close();
  try {
    read_content(Hdf5File::open(folder.path("a.h5")));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_EQ(folder.without_path(error.text()).find("a.h5"), 0u) << error.text();
  }
}

}  // namespace
}  // namespace keyshard
