// Rows that a table has before its first step: as the file has them, whoever reads and owns them.
#include "launch/training/pretrained.hpp"

#include <map>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/vector_source.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {
namespace {

using Row = std::vector<float>;

GroupOptions group(const std::string& name, std::int64_t dim, const Optimizer& optimizer) {
  return {name, dim, Uniform{-1, 1}, {}, optimizer, {}};
}

TableOptions items() {
  TableOptions options;
  options.name = "items";
  options.seed = 3;
  options.groups = {group("factor", 2, Adagrad{}), group("linear", 1, Adam{})};
  return options;
}

/// Lines of keys 0 .. n with the numbers (k / 2, -k).
std::string lines(Key n) {
  std::string text;
  for (Key key = 0; key < n; ++key) {
    text += fmt::format("{} {} -{}\n", key * 977, 0.5 * static_cast<double>(key), key);
  }
  return text;
}

/// Values and states of each key of a table; "initial" rows are those of a table that made them.
std::map<Key, Row> rows_of(const Table<Cpu>& table) {
  std::map<Key, Row> all;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardRows rows = table.shard_rows(shard);
    for (std::size_t i = 0; i < rows.keys.size(); ++i) {
      Row& row = all[rows.keys[i]];
      for (const RowColumn& column : table.columns()) {
        Row part(static_cast<std::size_t>(column.width));
        table.copy_column(Span<const RowId>(&rows.rows[i], 1), column, part.data());
        row.insert(row.end(), part.begin(), part.end());
      }
    }
  }
  return all;
}

class PretrainedRows : public ::testing::Test {
 protected:
  struct Loaded {
    std::string digest;
    std::int64_t rows = 0;
    std::map<Key, Row> contents;
  };

  Loaded load(int ranks, const std::string& name, const TableOptions& options = items()) {
    Loaded loaded;
    std::mutex mutex;
    run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      const Table<Cpu>& table = tables.create(options);
      const std::int64_t rows =
          load_pretrained({options.name, folder_.path(name), false}, tables, stream);
      const std::string digest = state_digest(tables, stream, 0).hex();
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(loaded.digest.empty() || loaded.digest == digest);
      loaded.digest = digest;
      loaded.rows = rows;
      loaded.contents.merge(rows_of(table));
    });
    return loaded;
  }

  /// Saves keys 0 .. 400 with the values (key, 2, 3), and for doubles (key / 10, 2, 3), in a folder
  /// of that name. Returns the name of the checkpoint.
  std::string save_items(const TableOptions& options = items(),
                         const std::string& place = "saved") {
    const bool doubles = options.value_dtype == ValueDtype::float64;
    std::string path;
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Table<Cpu>& table = tables.create(options);
      std::vector<Key> keys;
      Row values;
      for (Key key = 0; key < 400; ++key) {
        if (table.shards().contains(shard_of(table.partitioner(), key))) {
          keys.push_back(key);
          const double first = static_cast<double>(key) / (doubles ? 10 : 1);
          for (const double number : {first, 2.0, 3.0}) {
            add_number(number, doubles, values);
          }
        }
      }
      table.assign(stream, keys, values.data());
      const std::string made = save_tables(folder_.path(place), tables, stream,
                                           {.step = 1, .state = {}, .dense = {}, .retention = {}});
      if (communicator.rank() == 0) {
        path = made;
      }
    });
    return path.substr(folder_.path("").size());
  }

  std::string problem(int ranks, const std::string& name, const TableOptions& options = items()) {
    try {
      load(ranks, name, options);
    } catch (const Error& error) {
      return error.text();
    }
    return "none";
  }

  ScratchFolder folder_;
};

TEST_F(PretrainedRows, GoToTheOwnersOfTheTable) {
  folder_.write("v.txt", lines(500));
  TableOptions owned = items();
  owned.owners = {2, 0};
  EXPECT_EQ(load(3, "v.txt", owned).digest, load(1, "v.txt").digest);
  const std::string saved = save_items();
  const std::string expected = load(1, saved).digest;
  EXPECT_EQ(load(3, saved, owned).digest, expected);
  const std::string of_owners = save_items(owned);
  EXPECT_EQ(load(1, of_owners).digest, expected);
  EXPECT_EQ(load(4, of_owners, owned).digest, expected);
}

TEST_F(PretrainedRows, AreThoseOfTheFileOnAnyNumberOfRanks) {
  folder_.write("v.txt", lines(500));
  const Loaded one = load(1, "v.txt");
  EXPECT_EQ(one.rows, 500);
  // A table that makes the rows itself has the other group and all states.
  std::map<Key, Row> expected;
  run_ranks(1, 1, [&](Communicator<Cpu>&, Stream<Cpu>& stream) {
    Table<Cpu> table(items(), {0, kShards});
    std::vector<Key> keys;
    for (Key key = 0; key < 500; ++key) {
      keys.push_back(key * 977);
    }
    std::vector<RowId> made(keys.size());
    table.find_or_insert(stream, keys, made.data());
    expected = rows_of(table);
  });
  for (auto& [key, row] : expected) {
    row[0] = 0.5f * static_cast<float>(key / 977);
    row[1] = -static_cast<float>(key / 977);
  }
  EXPECT_EQ(one.contents, expected);
  for (const int ranks : {2, 3, 4, 8}) {
    EXPECT_EQ(load(ranks, "v.txt").digest, one.digest) << ranks << " ranks";
  }
}

TEST_F(PretrainedRows, OfAKeyThatComesTwiceAreRefusedWithBothPlaces) {
  folder_.write("v.txt", lines(300) + "977 0 0\n" + lines(1).replace(0, 1, "5"));
  for (const int ranks : {1, 2, 3, 8}) {
    const std::string path = folder_.path("v.txt");
    EXPECT_NE(
        problem(ranks, "v.txt")
            .find(path + ":301: expected each key once: found 977 there and at " + path + ":2"),
        std::string::npos)
        << problem(ranks, "v.txt");
  }
}

TEST_F(PretrainedRows, OfACheckpointAreTheValuesOfTheGroupsThatItHas) {
  const std::string name = save_items();
  TableOptions other = items();  // other states and another partitioner
  other.groups[0].optimizer = Sgd{};
  other.partitioner = "modulo";
  const Loaded one = load(1, name, other);
  EXPECT_EQ(one.rows, 400);
  EXPECT_EQ(one.contents.at(7)[0], 7);
  EXPECT_EQ(one.contents.at(7)[1], 2);
  EXPECT_EQ(one.contents.at(7)[2], 3);
  for (const int ranks : {2, 4}) {
    EXPECT_EQ(load(ranks, name, other).digest, one.digest) << ranks << " ranks";
  }
  TableOptions factors = items();
  factors.groups = {group("factor", 2, Sgd{})};
  EXPECT_EQ(load(2, name, factors).contents.at(399), (Row{399, 2}));
  factors.groups[0].dim = 5;
  EXPECT_NE(problem(2, name, factors)
                .find("table items: expected a column values/factor of width 5: found none"),
            std::string::npos)
      << problem(2, name, factors);
}

TEST_F(PretrainedRows, OfACheckpointMayHaveAnotherTypeThanTheTable) {
  for (const ValueDtype dtype : {ValueDtype::float16, ValueDtype::bfloat16}) {
    TableOptions saved = items();
    saved.value_dtype = dtype;
    const Loaded loaded = load(2, save_items(saved));
    // bfloat16 has 8 significant bits: between 256 and 512 even numbers, and 399 is as near to 398
    // as to 400, which is the even one: 199 = 0b11000111, 200 = 0b11001000.
    EXPECT_EQ(loaded.contents.at(399)[0], dtype == ValueDtype::float16 ? 399 : 400);
    EXPECT_EQ(loaded.contents.at(399)[2], 3);
    EXPECT_EQ(loaded.contents.at(7)[0], 7);
  }
}

TableOptions doubles() {
  TableOptions options = items();
  options.value_dtype = ValueDtype::float64;
  return options;
}

/// The first two numbers of each row of a table of doubles, and a third that is not of the vectors.
std::map<Key, std::vector<double>> doubles_of(const Table<Cpu>& table) {
  std::map<Key, std::vector<double>> all;
  for (std::int64_t shard = table.shards().begin; shard < table.shards().end; ++shard) {
    const ShardRows rows = table.shard_rows(shard);
    for (std::size_t i = 0; i < rows.keys.size(); ++i) {
      std::vector<double>& row = all[rows.keys[i]];
      row.resize(3);
      table.copy_column(Span<const RowId>(&rows.rows[i], 1), table.columns()[0], row.data());
      table.copy_column(Span<const RowId>(&rows.rows[i], 1), table.columns()[1], row.data() + 2);
    }
  }
  return all;
}

TEST_F(PretrainedRows, OfDoublesHaveEveryBitOfTheFile) {
  std::string text;
  for (Key key = 0; key < 300; ++key) {
    text += fmt::format("{} {} -1e-300\n", key, static_cast<double>(key) / 10);
  }
  folder_.write("v.txt", text);
  const std::string saved = save_items(doubles(), "doubles"), of_floats = save_items();
  for (const std::string& name : {std::string("v.txt"), saved, of_floats}) {
    std::string digest;
    for (const int ranks : {1, 3}) {
      run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        TableSet<Cpu> tables(communicator);
        const Table<Cpu>& table = tables.create(doubles());
        load_pretrained({"items", folder_.path(name)}, tables, stream);
        for (const auto& [key, row] : doubles_of(table)) {
          EXPECT_EQ(row[0], static_cast<double>(key) / (name == of_floats ? 1 : 10)) << name;
          EXPECT_EQ(row[1], name == "v.txt" ? -1e-300 : 2) << name;
          EXPECT_EQ(row[2] == 3, name != "v.txt") << name;
        }
        const std::string found = state_digest(tables, stream, 0).hex();
        if (communicator.rank() == 0) {
          EXPECT_TRUE(digest.empty() || digest == found) << name;
          digest = found;
        }
      });
    }
  }
  EXPECT_EQ(load(2, saved).contents.at(7)[0], 0.7f);  // a table of floats rounds them
}

TEST_F(PretrainedRows, OfDoublesThatNoFloatHoldsAreRefusedWhereRowsAreFloats) {
  folder_.write("v.txt", "1 1e300 0\n");
  EXPECT_NE(
      problem(2, "v.txt").find("expected numbers that are finite as float32: found \"1e300\""),
      std::string::npos)
      << problem(2, "v.txt");
  TableOptions integers = items();
  integers.groups.resize(1);
  integers.groups[0].optimizer = Sgd{};
  integers.value_dtype = ValueDtype::int32;
  integers.trainable = false;
  EXPECT_NE(problem(2, "v.txt", integers).find("expected rows of floats or doubles for pretrained"),
            std::string::npos)
      << problem(2, "v.txt", integers);
}

TEST_F(PretrainedRows, NeedAFile) {
  EXPECT_NE(problem(2, "nowhere")
                .find("nowhere: expected a text file, a folder with keys.npy and values.npy, or a "
                      "checkpoint: found nothing of that name"),
            std::string::npos)
      << problem(2, "nowhere");
}

}  // namespace
}  // namespace keyshard::testing
