// Tables of other types than float32: saved on some ranks, loaded on others, trained on, and with
// one digest on any number of ranks.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/launch/training/saved_program.hpp"
#include "tests/support/counts.hpp"

namespace keyshard::testing {
namespace {

class DtypeCheckpoint : public TableCheckpoint {
 protected:
  /// Saved on 1 and 3 ranks and loaded on so many, tables train on as without a stop.
  void expect_train_on(const LayerOptions& words, const std::vector<int>& ranks) {
    std::string whole;  // trained without a stop
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Program program(communicator, words);
      program.train(stream, 0, kTrained);
      whole = state_digest(program.tables, stream, kTrained).hex();
    });
    for (const int savers : {1, 3}) {
      const std::string saved = save(savers, words);
      for (const int loaders : ranks) {
        run_ranks(loaders, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
          Program program(communicator, words);
          load_tables(path_, program.tables, stream);
          EXPECT_EQ(state_digest(program.tables, stream, kSaved).hex(), saved);
          program.train(stream, kSaved, kTrained);
          EXPECT_EQ(state_digest(program.tables, stream, kTrained).hex(), whole);
        });
      }
    }
  }
};

TEST_F(DtypeCheckpoint, OfShortFloatsLoadsOnAnyRanksAndTrainsOn) {
  for (const std::string dtype : {"float16", "bfloat16"}) {
    LayerOptions words = layer_options("words", 3, Adam{});
    words.value_dtype = dtype;
    expect_train_on(words, {1, 2, 4});
    expect_refused(layer_options("words", 3, Adam{}),
                   ": expected value_dtype of table words float32 of this job: found " + dtype);
  }
  LayerOptions words = layer_options("words", 3, Adam{});
  save(2, words);
  words.value_dtype = "float16";
  expect_refused(words, ": expected value_dtype of table words float16 of this job: found float32");
}

TEST_F(DtypeCheckpoint, OfDoublesLoadsOnAnyRanksAndTrainsOn) {
  LayerOptions words = layer_options("words", 3, Adam{});
  words.value_dtype = "float64";
  expect_train_on(words, {1, 2, 3, 4, 8});
  expect_refused(layer_options("words", 3, Adam{}),
                 ": expected value_dtype of table words float32 of this job: found float64");
}

TEST_F(DtypeCheckpoint, OfIntegersKeepsEveryBitOnAnyRanks) {
  for (const std::string dtype : {"int8", "int32", "int64"}) {
    LayerOptions codes = layer_options("codes", 3, Sgd{});
    codes.value_dtype = dtype;
    codes.trainable = false;
    const std::int64_t least = dtype == "int8" ? -128 : dtype == "int32" ? INT32_MIN : INT64_MIN;
    LayerWeights weights{dtype, 3,  {1, 2, ~Key{0}},
                         {},    {}, {least, 7, -1, 0, -least - 1, 5, 1, 2, least + 1}};
    std::string saved;
    run_ranks(3, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      Embedding<Cpu> layer(tables, codes);
      layer.build({1});
      layer.set_weights(stream, communicator.rank() == 1 ? weights : LayerWeights{dtype, 3});
      const std::string path = save_tables(folder_.path(dtype), tables, stream,
                                           {.step = 0, .state = {}, .dense = {}, .retention = {}});
      const std::string digest = state_digest(tables, stream, 0).hex();
      if (communicator.rank() == 0) {
        path_ = path;
        saved = digest;
      }
    });
    for (const int ranks : {1, 2, 4, 8}) {
      run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
        TableSet<Cpu> tables(communicator);
        Embedding<Cpu> layer(tables, codes);
        load_tables(path_, tables, stream);
        EXPECT_EQ(state_digest(tables, stream, 0).hex(), saved) << dtype << ", " << ranks;
        const LayerWeights mine = layer.get_weights();
        for (std::size_t i = 0; i < mine.keys.size(); ++i) {
          const std::size_t k = mine.keys[i] == ~Key{0} ? 2 : mine.keys[i] - 1;
          for (std::size_t d = 0; d < 3; ++d) {
            EXPECT_EQ(mine.integers[3 * i + d], weights.integers[3 * k + d]) << dtype;
          }
        }
      });
    }
  }
}

TEST_F(DtypeCheckpoint, ShortFloatsHaveOneDigestOnAnyRanksInEveryForm) {
  for (const std::string dtype : {"float16", "bfloat16"}) {
    LayerOptions words = layer_options("words", 3, Adagrad{0.5f});
    words.value_dtype = dtype;
    words.pool_order = PoolOrder::shard;
    words.max_norm = 0.1;
    std::string expected;
    for (const ExchangeMode mode :
         {ExchangeMode::rows, ExchangeMode::reduced, ExchangeMode::automatic}) {
      words.exchange = mode;
      for (const int ranks : {1, 2, 3, 4, 5, 8}) {
        for (const int threads : thread_counts({1, 2})) {
          run_ranks(ranks, threads, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
            Program program(communicator, words);
            program.train(stream, 0, kTrained);
            const std::string digest = state_digest(program.tables, stream, kTrained).hex();
            if (communicator.rank() == 0) {
              expected = expected.empty() ? digest : expected;
              EXPECT_EQ(digest, expected)
                  << dtype << ", " << option_name(mode) << ", " << ranks << " x " << threads;
            }
          });
        }
      }
    }
  }
}

}  // namespace
}  // namespace keyshard::testing
