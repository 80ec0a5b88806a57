// What the tests of the members of a layer share: a small layer on several ranks, and a batch whose
// slices do not depend on their number.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {

inline LayerOptions items(const std::string& name = "items") {
  LayerOptions options;
  options.name = name;
  options.embedding_size = 2;
  options.initializer = Constant{0.5f};
  options.optimizer = Sgd{1};
  return options;
}

/// The message of an Error{invalid_argument}.
inline std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument) << error.text();
    return error.text();
  }
  ADD_FAILURE() << "expected an error";
  return "";
}

/// body(layer, tables, stream) with a layer on each of several ranks, for 1, 2 and 3 ranks.
inline void on_ranks(
    const std::function<void(SquashedEmbedding<Cpu>&, TableSet<Cpu>&, Stream<Cpu>&)>& body,
    const LayerOptions& options = items()) {
  for (const int ranks : {1, 2, 3}) {
    run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      SquashedEmbedding<Cpu> layer(tables, options);
      body(layer, tables, stream);
    });
  }
}

/// Twelve samples of one id each, in six slices, of which a rank has its run.
struct Batch {
  static constexpr std::int64_t kSlices = 6;
  std::vector<Key> ids;
  SliceLayout slices;

  explicit Batch(const Communicator<Cpu>& communicator)
      : slices{kSlices, run_of(communicator.rank(), communicator.size(), kSlices), {0}} {
    for (std::int64_t s = slices.run.begin; s < slices.run.end; ++s) {
      ids.insert(ids.end(), {static_cast<Key>(2 * s), static_cast<Key>(2 * s + 1)});
      slices.offsets.push_back(slices.offsets.back() + 2);
    }
  }

  IdsView view() const { return {ids, {static_cast<std::int64_t>(ids.size()), 1}, {}}; }

  CallOptions call() const { return {.training = true, .slices = &slices, .mask = {}}; }
};

}  // namespace keyshard::testing
