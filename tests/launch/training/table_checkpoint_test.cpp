// Tables of a program with two layers: saved on some ranks, loaded on others, and trained on as if
// nothing had happened; and what is refused, on every rank.
#include "launch/training/table_checkpoint.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "launch/training/optimizer_clocks.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"
#include "tests/launch/training/saved_program.hpp"
#include "tests/support/counts.hpp"
#include "tests/support/damage_row.hpp"
#include "tests/support/own_rules.hpp"

namespace keyshard::testing {
namespace {

TEST_F(TableCheckpoint, SavedByAnyRanksLoadsOnAnyOthersAndTrainsOn) {
  std::string whole;  // trained without a stop
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator);
    program.train(stream, 0, kTrained);
    whole = state_digest(program.tables, stream, kTrained).hex();
  });
  for (const int savers : {1, 2, 3}) {
    const std::string saved = save(savers);
    for (const int loaders : {1, 2, 3, 4}) {
      SCOPED_TRACE(fmt::format("saved by {}, loaded by {}", savers, loaders));
      run_ranks(loaders, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        Program program(communicator);
        const TableLoad load = load_tables(path_, program.tables, stream);
        EXPECT_EQ(load.step, kSaved);
        EXPECT_EQ(state_digest(program.tables, stream, kSaved).hex(), saved);
        // Adam corrects its bias by the clock, so this also shows that the clock was restored.
        program.train(stream, kSaved, kTrained);
        EXPECT_EQ(state_digest(program.tables, stream, kTrained).hex(), whole);
      });
    }
  }
}

TEST_F(TableCheckpoint, SavedByAnyOwnersLoadsIntoOthersAndTrainsOn) {
  LayerOptions words = layer_options("words", 3, Adam{});
  words.admit_after = 3;  // so that keys wait for their admission, too
  std::string whole;      // trained without a stop
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator, words);
    program.train(stream, 0, kTrained);
    EXPECT_GT(program.tables.not_admitted(), 0);
    whole = state_digest(program.tables, stream, kTrained).hex();
  });
  const std::string one = save(1, words);
  using Devices = std::vector<std::string>;

  struct Owners {
    int ranks;
    Devices devices;
  };

  const std::vector<Owners> all{
      {2, {"cpu:1"}}, {3, {"cpu:2", "cpu:0"}}, {3, {"cpu:1", "cpu:2", "cpu:0"}}, {4, {}}};
  for (const Owners& savers : all) {
    words.devices = savers.devices;
    EXPECT_EQ(save(savers.ranks, words), one);
    for (const Owners& loaders : all) {
      LayerOptions loaded = words;
      loaded.devices = loaders.devices;
      run_ranks(loaders.ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        Program program(communicator, loaded);
        load_tables(path_, program.tables, stream);
        EXPECT_EQ(state_digest(program.tables, stream, kSaved).hex(), one);
        program.train(stream, kSaved, kTrained);
        EXPECT_EQ(state_digest(program.tables, stream, kTrained).hex(), whole);
      });
    }
  }
}

/// What users without a row read as, as the batch of every rank has them.
std::vector<float> initial_values(Program& program, Stream<Cpu>& stream) {
  const std::vector<Key> absent{1000, ~Key{6}, 12345678901, 1000};
  const auto out = program.users.forward(stream, {absent, {std::ssize(absent)}, {}}, false);
  return {out.values.data(), out.values.data() + out.values.size()};
}

TEST_F(TableCheckpoint, KeysWithoutARowReadTheSameBeforeASaveAndAfterALoad) {
  std::vector<float> first;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator);
    first = initial_values(program, stream);
    EXPECT_NE(first[0], 0);
    EXPECT_NE(first[0], first[2]);  // another key
    EXPECT_EQ(first[0], first[6]);  // the same key at another place
    program.train(stream, 0, kSaved);
    EXPECT_EQ(initial_values(program, stream), first);
  });
  save(2);
  for (const int ranks : {1, 3}) {
    run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Program program(communicator);
      load_tables(path_, program.tables, stream);
      EXPECT_EQ(initial_values(program, stream), first);
    });
  }
}

TEST_F(TableCheckpoint, KeepsWhatTheProgramSavesBesideTables) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const std::vector<float> weights{1, 2, 3, 4, 5, 6};
    Program program(communicator);
    const std::string path =
        save_tables(folder_.path("saved"), program.tables, stream,
                    {.step = 9,
                     .state = value_of(SettingValue::Table{{"epoch", value_of(std::int64_t{4})}}),
                     .dense = {{"layer/weights", ElementType::f32, {2, 3}, weights.data()}},
                     .retention = {}});
    EXPECT_EQ(path, folder_.path("saved/step-000009"));

    const auto another = communicator.duplicate();  // with names of its own
    Program other(*another);
    const TableLoad load = load_tables(path, other.tables, stream);
    EXPECT_EQ(load.step, 9);
    EXPECT_EQ(ValueReader(load.state, "state").at("epoch").integer(), 4);
    ASSERT_EQ(load.dense.size(), 1u);
    const std::vector<std::byte>& bytes = load.dense.at("layer/weights");
    ASSERT_EQ(bytes.size(), weights.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(bytes.data(), weights.data(), bytes.size()), 0);
  });
}

TEST_F(TableCheckpoint, KeepsTheNewestOnesThatAreAskedFor) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator);
    for (const std::int64_t step : {1, 2, 3}) {
      save_tables(folder_.path("saved"), program.tables, stream,
                  {.step = step, .state = {}, .dense = {}, .retention = {2, -1}});
    }
    EXPECT_FALSE(std::filesystem::exists(folder_.path("saved/step-000001")));
    EXPECT_TRUE(std::filesystem::exists(folder_.path("saved/step-000002")));
    EXPECT_TRUE(std::filesystem::exists(folder_.path("saved/step-000003")));
  });
}

TEST_F(TableCheckpoint, WithADamagedRowLeavesTheTablesWithoutRows) {
  save(2);
  damage_row(path_, 0, 2);
  run_ranks(2, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator);
    expect_refused(program.tables, stream, "/rank-0000-of-0002.h5: expected the digest ");
  });
}

TEST_F(TableCheckpoint, WithAKeyOfAnotherShardIsRefusedByTableShardAndKey) {
  LayerOptions words = layer_options("words", 3, Adam{});
  words.admit_after = 3;
  for (const std::string name : {"users", "words/sightings"}) {
    std::string expected;
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Program program(communicator, words);
      program.train(stream, 0, kSaved);
      CheckpointContent content;
      content.step = kSaved;
      content.shards = kShards;
      content.config = value_of(SettingValue::Table{});
      content.state = value_of(SettingValue::Table{
          {"table_clocks", clocks_value(clocks_of(program.tables))}, {"program", {}}});
      content.tables = table_sources(program.tables);
      TableSource& source =
          *std::find_if(content.tables.begin(), content.tables.end(),
                        [&](const TableSource& table) { return table.shape.name == name; });
      const std::int64_t first = std::find_if(source.rows.begin(), source.rows.end(),
                                              [](std::int64_t rows) { return rows > 0; }) -
                                 source.rows.begin();
      source.copy = [&, copy = source.copy](std::int64_t shard, Span<Key> keys,
                                            const std::vector<std::byte*>& columns) {
        copy(shard, keys, columns);
        if (shard == first) {
          keys[keys.size() - 1] += 1000;  // still ascending
          expected = fmt::format(
              ": table {}, shard {}: expected keys of this shard, by the partitioner hash: found "
              "key {} of shard ",
              name, shard, keys[keys.size() - 1]);
        }
      };
      LocalFileSystem files;
      CheckpointWriter(files, folder_.path("saved"), communicator, stream).save(content, {});
    });
    path_ = folder_.path("saved/step-000003");
    expect_refused(words, expected);
  }
}

TEST_F(TableCheckpoint, OfOtherTablesIsRefusedOnAllRanks) {
  save(2);
  const std::string columns =
      ": table words: expected the columns of this job: found others; was the model, dim or "
      "optimizer changed?";
  expect_refused(layer_options("terms", 3, Adam{}),
                 ": expected table terms of this job: found words");
  expect_refused(layer_options("words", 4, Adam{}), columns);
  expect_refused(layer_options("words", 3, Adagrad{}), columns);
  LayerOptions seeded = layer_options("words", 3, Adam{});
  seeded.partitioner = "modulo";
  seeded.seed = 5;
  expect_refused(seeded,
                 ": expected options of table words {\"partitioner\":\"modulo\",\"seed\":5,"
                 "\"pool_order\":\"bag\"} of this job: found {\"partitioner\":\"hash\",");
}

TEST_F(TableCheckpoint, KeepsTheNamesOfTheRulesOfAProgram) {
  LayerOptions words = layer_options("words", 3, own_optimizer(Doubling{}));
  words.initializer = own_initializer(KeyedRow{});
  words.partitioner = own_partitioner(ByEight{});
  words.restrict_policy = own_policy(Freshness{});
  std::string whole;  // trained without a stop
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator, words);
    program.train(stream, 0, kTrained);
    whole = state_digest(program.tables, stream, kTrained).hex();
  });
  save(3, words);
  run_ranks(2, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator, words);
    load_tables(path_, program.tables, stream);
    program.train(stream, kSaved, kTrained);
    EXPECT_EQ(state_digest(program.tables, stream, kTrained).hex(), whole);
  });
  expect_refused(
      layer_options("words", 3, Sgd{}),
      ": table words: expected the own rules {} of this program: found "
      "{\"partitioner\":\"by_eight\","
      "\"restrict_policy\":\"freshness\",\"optimizer of values\":\"doubling\",\"initializer of "
      "values\":\"keyed_row\"}; a rule of a program is saved by its name: give the table the rule "
      "of that name (kName, own_rules.hpp)");
}

TEST_F(TableCheckpoint, KeepsTheKeysThatWaitForTheirAdmission) {
  LayerOptions words = layer_options("words", 3, Adam{});
  words.admit_after = 3;
  std::string whole;  // trained without a stop
  std::int64_t rows = 0;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator, words);
    program.train(stream, 0, kSaved);
    rows = program.words.table().size();
    program.train(stream, kSaved, kTrained);
    EXPECT_GT(program.words.table().size(), rows);  // some were admitted for earlier sightings
    whole = state_digest(program.tables, stream, kTrained).hex();
  });
  for (const int savers : {1, 3}) {
    const std::string saved = save(savers, words);
    for (const int loaders : {1, 2}) {
      run_ranks(loaders, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        Program program(communicator, words);
        load_tables(path_, program.tables, stream);
        EXPECT_EQ(state_digest(program.tables, stream, kSaved).hex(), saved);
        program.train(stream, kSaved, kTrained);
        EXPECT_EQ(state_digest(program.tables, stream, kTrained).hex(), whole);
      });
    }
  }
  expect_refused(layer_options("words", 3, Adam{}), ": expected options of table words {");
}

TEST_F(TableCheckpoint, IsNotLoadedIntoFewerTablesOrOverRows) {
  save(2);
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> none(communicator);
    expect_refused(none, stream, ": expected 0 tables of this job: found 2");
    Program trained(communicator);
    trained.train(stream, 0, 1);
    expect_refused(trained.tables, stream,
                   ": table users: expected a table without rows to load into: found ");
  });
}

TEST_F(TableCheckpoint, WithOtherClocksIsRefusedBeforeRowsAreLoaded) {
  save(2);
  // One clock more than there are column groups, in a manifest whose digest is right.
  const std::string name = "saved/step-000003/manifest.json";
  std::string text = folder_.read(name);
  text = text.substr(0, text.rfind(",\n  \"digest\""));
  const std::string clocks = "\"table_clocks\":[";
  ASSERT_NE(text.find(clocks), std::string::npos);
  text.insert(text.find(clocks) + clocks.size(), "[3,1.0,1.0],");
  const std::string digest = digest_of(text.data(), text.size()).hex();
  folder_.write(name, text + ",\n  \"digest\": \"" + digest + "\"\n}\n");
  expect_refused(layer_options("words", 3, Adam{}),
                 ": state.table_clocks: expected 2 entries: found 3");
}

TEST_F(TableCheckpoint, ThatIsNotThereIsRefused) {
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Program program(communicator);
    try {
      load_tables(folder_.path("step-000001"), program.tables, stream);
      ADD_FAILURE() << "loaded";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::corrupt_data);
      EXPECT_NE(error.text().find("step-000001: expected a committed checkpoint"),
                std::string::npos)
          << error.text();
    }
  });
}

}  // namespace
}  // namespace keyshard::testing
