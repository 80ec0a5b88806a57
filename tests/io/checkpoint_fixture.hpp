// A small state to save and load. Every value follows from its key, so a test can check a load
// without the saved state. Folders for tests.
#pragma once

#include <string>
#include <vector>

#include "io/checkpoint_reader.hpp"
#include "io/checkpoint_writer.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {

/// A new empty folder, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Three tables (one of an odd name, one empty) of `keys` keys over `shards` shards, and two dense
/// parts.
struct TestState {
  std::int64_t step = 7;
  std::int64_t shards = 16;
  std::int64_t keys = 100;
  std::vector<std::vector<std::int64_t>> owners = {};  ///< of each table; none: all ranks in order

  std::vector<TableShape> tables() const;
  /// Keys of a shard of a table, ascending.
  std::vector<Key> keys_of(std::size_t table, std::int64_t shard) const;
  /// A column of those keys, from the definition.
  std::vector<std::byte> column_of(const ColumnShape& column, const std::vector<Key>& keys) const;
  std::vector<float> dense(const std::string& name) const;

  CheckpointContent content(int rank, int ranks) const;

  /// The state digest by its definition.
  Digest128 digest() const;
};

/// Saves on `ranks` ranks of `threads` threads.
void save(FileSystem& files, const std::string& folder, const TestState& state, int ranks,
          const Retention& retention = {}, int threads = 2);

/// Loads on `ranks` ranks and expects every value as the state says.
void expect_loads(const std::string& path, const TestState& state, int ranks, int threads = 2,
                  FileCheck check = FileCheck::before);

/// Opens and verifies everything on one rank.
void open_checkpoint(const std::string& path, FileCheck check = FileCheck::before);

/// Names in a folder, sorted.
std::vector<std::string> names_in(const std::string& folder);

/// The error of opening, as "KIND: text"; empty if it opens.
std::string refusal_of(const std::string& path, FileCheck check = FileCheck::before);

}  // namespace keyshard::testing
