#include "tests/io/checkpoint_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "io/checkpoint_folder.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard::testing {
namespace {

const std::vector<std::string> kDense{"weights", "state/m"};

}  // namespace

TestFolder::TestFolder() {
  static std::atomic<int> count{0};
  path_ = fmt::format("{}/keyshard-{}-{}", ::testing::TempDir(), ::getpid(), count++);
  std::filesystem::create_directories(path_);
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<TableShape> TestState::tables() const {
  return {{"user",
           {{"values/v", ElementType::f32, 3},
            {"values/w", ElementType::f32, 1},
            {"state/v/m", ElementType::f32, 3}},
           value_of("user's options")},
          {"item/100%", {{"values/v", ElementType::f32, 2}, {"count", ElementType::u32, 1}}, {}},
          {"empty", {{"values/v", ElementType::f32, 4}}, {}}};
}

std::vector<Key> TestState::keys_of(std::size_t table, std::int64_t shard) const {
  std::vector<Key> result;
  const std::int64_t count = table == 2 ? 0 : keys >> table;
  for (std::int64_t i = 0; i < count; ++i) {
    // The last shard of the first table stays empty.
    const Key key = hash_of(static_cast<std::uint64_t>(i), table);
    const auto home = static_cast<std::int64_t>(key % static_cast<Key>(shards));
    if (home == shard && !(table == 0 && shard == shards - 1)) {
      result.push_back(key);
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<std::byte> TestState::column_of(const ColumnShape& column,
                                            const std::vector<Key>& keys_) const {
  // Any bits are legal, so infinities and NaNs are among them.
  std::vector<std::uint32_t> values;
  for (const Key key : keys_) {
    for (std::int64_t j = 0; j < column.width; ++j) {
      values.push_back(static_cast<std::uint32_t>(hash_of(key, j, column.name.size(), step) >> 32));
    }
  }
  std::vector<std::byte> bytes(values.size() * sizeof(values[0]));
  std::copy_n(std::as_bytes(Span<std::uint32_t>(values)).begin(), bytes.size(), bytes.begin());
  return bytes;
}

std::vector<float> TestState::dense(const std::string& name) const {
  std::vector<float> values;
  for (int i = 0; i < 12; ++i) {
    values.push_back(static_cast<float>(i) / 8 + static_cast<float>(name.size()) +
                     static_cast<float>(step));
  }
  return values;
}

CheckpointContent TestState::content(int rank, int ranks) const {
  CheckpointContent content;
  content.step = step;
  content.shards = shards;
  content.config = value_of("configuration");
  content.state = value_of(fmt::format("state of step {}", step));
  for (std::size_t t = 0; t < tables().size(); ++t) {
    TableSource source{tables()[t], {}, {}};
    source.owners = owners.empty() ? source.owners : owners[t];
    const Range own = ShardOwners(ranks, shards, source.owners).shards_of(rank);
    for (std::int64_t shard = own.begin; shard < own.end; ++shard) {
      source.rows.push_back(static_cast<std::int64_t>(keys_of(t, shard).size()));
    }
    source.copy = [state = *this, t](std::int64_t shard, Span<Key> out,
                                     const std::vector<std::byte*>& columns) {
      const std::vector<Key> found = state.keys_of(t, shard);
      std::copy(found.begin(), found.end(), out.begin());
      for (std::size_t c = 0; c < columns.size(); ++c) {
        const auto bytes = state.column_of(state.tables()[t].columns[c], found);
        std::copy(bytes.begin(), bytes.end(), columns[c]);
      }
    };
    content.tables.push_back(std::move(source));
  }
  return content;
}

Digest128 TestState::digest() const {
  std::vector<TableDigests> parts;
  for (std::size_t t = 0; t < tables().size(); ++t) {
    const TableShape shape = tables()[t];
    TableDigests part{shape.name, {"keys"}, {}};
    for (const ColumnShape& column : shape.columns) {
      part.columns.push_back(column.name);
    }
    for (std::int64_t shard = 0; shard < shards; ++shard) {
      const std::vector<Key> found = keys_of(t, shard);
      part.digests.push_back(digest_of(found.data(), found.size() * sizeof(Key)));
      for (const ColumnShape& column : shape.columns) {
        const auto bytes = column_of(column, found);
        part.digests.push_back(digest_of(bytes.data(), bytes.size()));
      }
    }
    parts.push_back(std::move(part));
  }
  NamedDigests named;
  for (const std::string& name : kDense) {
    const std::vector<float> values = dense(name);
    named.emplace_back(name, digest_of(values.data(), values.size() * sizeof(float)));
  }
  return state_digest(parts, named, step);
}

void save(FileSystem& files, const std::string& folder, const TestState& state, int ranks,
          const Retention& retention, int threads) {
  run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    CheckpointContent content = state.content(communicator.rank(), ranks);
    std::vector<std::vector<float>> values;
    for (const std::string& name : kDense) {
      values.push_back(state.dense(name));
    }
    content.dense = {{kDense[0], ElementType::f32, {4, 3}, values[0].data()},
                     {kDense[1], ElementType::f32, {12}, values[1].data()}};
    CheckpointWriter(files, folder, communicator, stream).save(content, retention);
  });
}

void expect_loads(const std::string& path, const TestState& state, int ranks, int threads,
                  FileCheck check) {
  run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    LocalFileSystem files;
    CheckpointReader reader(files, path, communicator, stream, check);
    EXPECT_EQ(reader.state_digest(), state.digest());
    EXPECT_EQ(reader.manifest().step, state.step);
    const auto& saved = std::get<std::string>(reader.manifest().state.value);
    EXPECT_EQ(saved, fmt::format("state of step {}", state.step));
    for (std::size_t t = 0; t < state.tables().size(); ++t) {
      const TableShape shape = state.tables()[t];
      const Range shards = run_of(communicator.rank(), ranks, state.shards);
      std::vector<std::atomic<int>> taken(static_cast<std::size_t>(state.shards));
      reader.read_table(shape.name, [&](std::int64_t shard, Span<const Key> keys,
                                        const std::vector<const std::byte*>& columns) {
        ++taken[static_cast<std::size_t>(shard)];
        const std::vector<Key> expected = state.keys_of(t, shard);
        ASSERT_EQ(std::vector<Key>(keys.begin(), keys.end()), expected);
        ASSERT_EQ(columns.size(), shape.columns.size());
        for (std::size_t c = 0; c < columns.size(); ++c) {
          const auto bytes = state.column_of(shape.columns[c], expected);
          EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), columns[c]));
        }
      });
      for (std::int64_t shard = 0; shard < state.shards; ++shard) {
        const bool own = shards.contains(shard) && !state.keys_of(t, shard).empty();
        EXPECT_EQ(taken[static_cast<std::size_t>(shard)], own ? 1 : 0) << shard;
      }
    }
    for (const std::string& name : kDense) {
      const std::vector<std::byte> bytes = reader.read_dense(name);
      const std::vector<float> expected = state.dense(name);
      ASSERT_EQ(bytes.size(), expected.size() * sizeof(float));
      EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), bytes.size()), 0);
    }
  });
}

void open_checkpoint(const std::string& path, FileCheck check) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    LocalFileSystem files;
    CheckpointReader(files, path, communicator, stream, check).verify();
  });
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string refusal_of(const std::string& path, FileCheck check) {
  try {
    open_checkpoint(path, check);
  } catch (const Error& error) {
    return fmt::format("{}: {}", error.kind() == Kind::corrupt_data ? "corrupt" : "other",
                       error.text());
  }
  return "";
}

}  // namespace keyshard::testing
