// A program with two layers, and the fixture that saves its tables on some ranks and loads them on
// others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "launch/training/table_checkpoint.hpp"
#include "launch/training/table_digests.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard::testing {

inline constexpr std::int64_t kSamples = 16;  // of a step, each a slice of its own
inline constexpr std::int64_t kSaved = 3, kTrained = 5;

inline LayerOptions layer_options(const std::string& name, std::int64_t width,
                                  const Optimizer& optimizer) {
  LayerOptions options;
  options.name = name;
  options.embedding_size = width;
  options.optimizer = optimizer;
  return options;
}

/// A program: one embedding per user, and words that are pooled.
struct Program {
  explicit Program(Communicator<Cpu>& communicator,
                   const LayerOptions& words_options = layer_options("words", 3, Adam{}))
      : tables(communicator),
        users(tables, layer_options("users", 2, Adagrad{})),
        words(tables, words_options) {}

  /// Makes the steps first + 1 .. last. The samples of a step depend on the step alone.
  void train(Stream<Cpu>& stream, std::int64_t first, std::int64_t last) {
    const int rank = tables.communicator().rank(), ranks = tables.communicator().size();
    SliceLayout slices{kSamples, run_of(rank, ranks, kSamples), {0}};
    for (std::int64_t step = first; step < last; ++step) {
      std::vector<Key> user_ids, word_ids;
      slices.offsets = {0};
      for (std::int64_t s = slices.run.begin; s < slices.run.end; ++s) {
        const auto id = static_cast<Key>(step * 7 + s);
        user_ids.push_back(id % 10);
        word_ids.insert(word_ids.end(), {id % 17, id % 5});
        slices.offsets.push_back(slices.offsets.back() + 1);
      }
      const std::int64_t samples = slices.run.size();
      const auto of_users = users.forward(stream, {user_ids, {samples}, {}}, true, &slices);
      const auto of_words = words.forward(stream, {word_ids, {samples, 2}, {}}, true, &slices);
      users.backward(stream, of_users, of_users.values.data());
      if (of_words.dtype == ValueDtype::float64) {
        words.backward(stream, of_words, of_words.numbers<double>().data());
      } else {
        words.backward(stream, of_words, of_words.values.data());
      }
      tables.apply(stream, {1.0f, kSamples});
    }
  }

  TableSet<Cpu> tables;
  Embedding<Cpu> users;
  SquashedEmbedding<Cpu> words;
};

class TableCheckpoint : public ::testing::Test {
 protected:
  /// Trains to kSaved steps on some ranks and saves. Returns the digest of the tables.
  std::string save(int ranks, const LayerOptions& words = layer_options("words", 3, Adam{})) {
    std::string digest;
    run_ranks(ranks, 2, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Program program(communicator, words);
      program.train(stream, 0, kSaved);
      const std::string path =
          save_tables(folder_.path("saved"), program.tables, stream,
                      {.step = kSaved, .state = {}, .dense = {}, .retention = {}});
      const Digest128 own = state_digest(program.tables, stream, kSaved);
      LocalFileSystem files;
      EXPECT_EQ(CheckpointReader(files, path, communicator, stream).state_digest(), own);
      if (communicator.rank() == 0) {
        path_ = path;
        digest = own.hex();
      }
    });
    return digest;
  }

  /// Expects that the tables of a program do not take the checkpoint, on each of two ranks with
  /// `reason`, and stay as they were.
  void expect_refused(const LayerOptions& words, const std::string& reason) {
    run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      Program program(communicator, words);
      expect_refused(program.tables, stream, reason);
    });
  }

  void expect_refused(TableSet<Cpu>& tables, Stream<Cpu>& stream, const std::string& reason) {
    const Digest128 before = state_digest(tables, stream, 0);
    try {
      load_tables(path_, tables, stream);
      ADD_FAILURE() << "loaded, in place of: " << reason;
    } catch (const Error& error) {
      EXPECT_TRUE(error.text().starts_with("rank 0: " + path_ + reason)) << error.text();
    }
    EXPECT_EQ(state_digest(tables, stream, 0), before);
  }

  ScratchFolder folder_;
  std::string path_;
};

}  // namespace keyshard::testing
