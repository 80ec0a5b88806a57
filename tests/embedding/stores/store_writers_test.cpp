// Steps that write to stores: several writers of one Redis server, and steps that fail and change
// nothing.
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "embedding/stores/redis_connection.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"
#include "tests/embedding/stores/store_places.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// One job with one row of one number per key, steps of which a test makes by hand.
struct Job {
  TableSet<Cpu> tables;
  SquashedEmbedding<Cpu> layer;

  Job(Communicator<Cpu>& communicator, const LayerOptions& options)
      : tables(communicator), layer(tables, options) {}

  Job(Communicator<Cpu>& communicator, const KvCreator& creator, bool bp_v2)
      : Job(communicator, options_of(creator, bp_v2)) {}

  static LayerOptions options_of(const KvCreator& creator, bool bp_v2) {
    LayerOptions options;
    options.name = "items";
    options.embedding_size = 1;
    options.initializer = Constant{2};
    options.optimizer = Sgd{1};
    options.kv_creator = creator;
    options.bp_v2 = bp_v2;
    return options;
  }

  /// A bag for each key.
  LayerOutput<Cpu> look_up(Stream<Cpu>& stream, const std::vector<Key>& keys) {
    return layer(stream, {keys, {std::ssize(keys), 1}, {}});
  }

  /// Steps by these gradients of the output.
  void step(Stream<Cpu>& stream, const LayerOutput<Cpu>& output, const std::vector<float>& by) {
    if (is_double()) {
      layer.backward(stream, output, std::vector<double>(by.begin(), by.end()).data());
    } else {
      layer.backward(stream, output, by.data());
    }
    tables.apply(stream, {});
  }

  bool is_double() const { return layer.dtype() == "float64"; }

  /// The numbers of the rows, all of which a float has.
  std::map<Key, float> rows() const {
    const LayerWeights weights = layer.get_weights();
    std::map<Key, float> rows;
    for (std::size_t i = 0; i < weights.keys.size(); ++i) {
      rows[weights.keys[i]] =
          is_double() ? static_cast<float>(weights.doubles[i]) : weights.values[i];
    }
    return rows;
  }
};

class RedisSteps : public StorePlaces {};

INSTANTIATE_TEST_SUITE_P(Server, RedisSteps, ::testing::Values("redis"));

TEST_P(RedisSteps, TwoWritersSeeEachOtherAtTheNextStep) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const auto another = communicator.duplicate();  // of another job
    Job one(communicator, creator(), false), other(*another, creator(), false);
    one.step(stream, one.look_up(stream, {7}), {0.5f});
    const LayerOutput<Cpu> seen = other.look_up(stream, {7});
    EXPECT_EQ(seen.values.data()[0], 1.5f);
    other.step(stream, seen, {1});
    EXPECT_EQ(one.look_up(stream, {7}).values.data()[0], 0.5f);
  });
}

/// Two jobs read keys 0 to 3, of which 3 has no row. One of them then steps keys 0, 1 and 3 and
/// loses key 2; the other has read before and steps all. By value the last writer wins; by
/// increment both changes count where the row stayed, and what is meant for a row that came or went
/// is dropped.
TEST_P(RedisSteps, TwoWritersAtOnceKeepOrAddInTheFourCases) {
  const std::pair<bool, const char*> cases[] = {{false, "float32"}, {true, "float32"},
                                                {true, "float16"},  {true, "bfloat16"},
                                                {false, "float64"}, {true, "float64"}};
  for (const auto& [added, dtype] : cases) {
    const bool by_increment = added;
    LayerOptions options =
        Job::options_of(creator(fmt::format("{}{}", added, dtype)), by_increment);
    options.value_dtype = dtype;  // which has all numbers of the test
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      const auto another = communicator.duplicate();
      Job one(communicator, options), other(*another, options);
      one.step(stream, one.look_up(stream, {0, 1, 2}), {1, 1, 1});  // rows of 1
      const LayerOutput<Cpu> read = other.look_up(stream, {0, 1, 2, 3, 4});

      one.step(stream, one.look_up(stream, {0, 1, 3}), {0.25f, 0.5f, 1});
      one.layer.table().stored()->store().erase(std::vector<StoreKey>{
          {2, static_cast<std::uint32_t>(shard_of(one.layer.table().partitioner(), 2))}});
      other.step(stream, read, {2, 4, 8, 16, 32});

      // 0: 1 - 0.25 - 2; 1: 1 - 0.5 - 4; 2: went; 3: came, as 2 - 1; 4: new to both, 2 - 32.
      EXPECT_EQ(one.rows(),
                by_increment
                    ? (std::map<Key, float>{{0, -1.25f}, {1, -3.5f}, {3, 1}, {4, -30}})
                    : (std::map<Key, float>{{0, -1}, {1, -3}, {2, -7}, {3, -14}, {4, -30}}));
      EXPECT_EQ(other.layer.table().dropped(), by_increment ? 2 : 0);
    });
  }
}

/// Two jobs add 2 each to a row of 1 whose norm is at most 4: the server clips the sum, 5.
TEST_P(RedisSteps, WhatTwoWritersAddIsClippedToTheLimit) {
  for (const char* dtype : {"float32", "float64", "float16"}) {
    LayerOptions options = Job::options_of(creator(dtype), true);
    options.value_dtype = dtype;
    options.max_norm = 4;
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      const auto another = communicator.duplicate();
      Job one(communicator, options), other(*another, options);
      one.step(stream, one.look_up(stream, {0, 1}), {1, 1});  // rows of 1
      const LayerOutput<Cpu> read = other.look_up(stream, {0, 1});
      one.step(stream, one.look_up(stream, {0, 1}), {-2, -0.5f});
      other.step(stream, read, {-2, -0.5f});
      EXPECT_EQ(one.rows(), (std::map<Key, float>{{0, 4}, {1, 2}})) << dtype;
    });
  }
}

/// How many commands of this name the server has done since its statistics were reset.
int commands_of(RedisConnection& connection, const std::string& name) {
  const RedisReply reply = connection.command({"INFO", "commandstats"});
  const std::string text(reply->str, reply->len), key = "cmdstat_" + name + ":calls=";
  const std::size_t at = text.find(key);
  return at == std::string::npos ? 0 : std::atoi(text.c_str() + at + key.size());
}

TEST_P(RedisSteps, AskOnceForAllKeysAndWriteOnceWhatHasChanged) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = Job::options_of(creator(), false);
    options.partitioner = "modulo";  // the keys below are of one shard, so of one command
    SquashedEmbedding<Cpu> layer(tables, options);
    RedisConnection connection(std::get<RedisRows>(creator()));
    connection.connect();
    for (const bool keys_exist : {false, true}) {
      connection.command({"CONFIG", "RESETSTAT"});
      const std::vector<Key> keys{0, kShards, 5 * kShards, kShards};
      for (int call = 0; call < 2; ++call) {
        const LayerOutput<Cpu> output = layer(stream, {keys, {2, 2}, {}});
        layer.backward(stream, output, std::vector<float>(2, 1.0f).data());
      }
      tables.apply(stream, {});
      EXPECT_EQ(commands_of(connection, "hmget"), 1) << keys_exist;
      EXPECT_EQ(commands_of(connection, "hset"), 1) << keys_exist;
    }
  });
}

template <class Body>
std::string text_of_error(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.text();
  }
  return "no error";
}

TEST_P(RedisSteps, AServerThatEndsBetweenForwardAndStepFailsTheStepOnAllRanks) {
  std::mutex mutex;
  std::vector<std::string> errors;
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    Job job(communicator, creator(), false);
    job.step(stream, job.look_up(stream, {1, 2}), {1, 1});
    const LayerOutput<Cpu> read = job.look_up(stream, {1, 2});
    communicator.barrier();
    if (communicator.rank() == 0) {
      server_->kill();
    }
    communicator.barrier();
    const std::int64_t step = job.layer.table().clocks()[0].step();
    const std::string written = text_of_error([&] { job.step(stream, read, {1, 1}); });
    EXPECT_EQ(job.layer.table().clocks()[0].step(), step);
    const std::string looked_up = text_of_error([&] { job.look_up(stream, {1, 2}); });
    const std::lock_guard lock(mutex);
    errors.push_back(written);
    errors.push_back(looked_up);
  });
  for (const std::string& error : errors) {
    EXPECT_NE(error.find("redis " + std::get<RedisRows>(creator()).host), std::string::npos)
        << error;
  }
  EXPECT_EQ(errors[0], errors[2]);  // of the step, on both ranks
  EXPECT_NE(errors[0].find("the step is undone in memory"), std::string::npos) << errors[0];
}

/// A host table, two with RocksDB and one with a server, which is the last that a step writes.
struct MixedJob {
  TableSet<Cpu> tables;
  std::vector<std::unique_ptr<SquashedEmbedding<Cpu>>> layers;

  MixedJob(Communicator<Cpu>& communicator, const ScratchFolder& folder, const RedisRows& server)
      : tables(communicator) {
    const TieredRows tiered{kLeastFastBytes, RocksDbRows{folder.path("tiered")}};
    for (const auto& [name, where] : {std::pair<std::string, KvCreator>("host", HostRows{}),
                                      {"disk", RocksDbRows{folder.path("disk")}},
                                      {"tiered", tiered},
                                      {"server", server}}) {
      LayerOptions options = Job::options_of(where, false);
      options.name = name;
      options.optimizer = Adam{};
      layers.push_back(std::make_unique<SquashedEmbedding<Cpu>>(tables, options));
    }
  }

  void step(Stream<Cpu>& stream, const std::vector<Key>& keys) {
    for (const auto& layer : layers) {
      const LayerOutput<Cpu> output = (*layer)(stream, {keys, {std::ssize(keys), 1}, {}});
      layer->backward(stream, output, std::vector<float>(keys.size(), 1.0f).data());
    }
    tables.apply(stream, {});
  }
};

/// Lets one rank set the memory of a server, of which 1 byte means that reads go on and writes are
/// refused.
void set_memory(Communicator<Cpu>& communicator, const RedisServer& server,
                const std::string& bytes) {
  communicator.barrier();
  if (communicator.rank() == 0) {
    RedisConnection connection(server.rows());
    connection.connect();
    connection.command({"CONFIG", "SET", "maxmemory", bytes});
  }
  communicator.barrier();
}

TEST(StepsThatFail, LeaveStoresAndMemoryOfAllRanksAndTablesAsTheyWere) {
  const ScratchFolder folder;
  if (!missing_library(RocksDbRows{"x"}).empty() || !missing_library(RedisRows{}).empty() ||
      !RedisServer::exists()) {
    GTEST_SKIP() << "no RocksDB or Redis";
  }
  const RedisServer server({"--maxmemory-policy", "noeviction"});
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    MixedJob job(communicator, folder, server.rows());
    const Key first = communicator.rank() == 0 ? 0 : 100;
    job.step(stream, {first, first + 1, first + 2});
    const std::string before = state_digest(job.tables, stream, 1).hex();
    set_memory(communicator, server, "1");

    const std::string error = text_of_error([&] {
      job.step(stream, {first, first + 1, first + 50});
    });

    EXPECT_NE(error.find("redis " + server.rows().host), std::string::npos) << error;
    EXPECT_NE(error.find("the step is undone, in memory and in the stores"), std::string::npos)
        << error;
    set_memory(communicator, server, "0");
    EXPECT_EQ(state_digest(job.tables, stream, 1).hex(), before);
    job.step(stream, {first, first + 1, first + 50});  // and the step can be made again
    EXPECT_NE(state_digest(job.tables, stream, 1).hex(), before);
  });
}

}  // namespace
}  // namespace keyshard::testing
