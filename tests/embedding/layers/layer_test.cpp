// The options of layers: those that are refused, and what an empty bag gives.
#include "embedding/layers/layer.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include <gtest/gtest.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

/// One column; keys without a row read 2.
LayerOptions named_options() {
  LayerOptions options;
  options.name = "items";
  options.embedding_size = 1;
  options.initializer = Constant{2.0f};
  return options;
}

TEST(LayerOptions, ThatAreNotBuiltAreRefusedByName) {
  const std::map<std::string, std::function<void(LayerOptions&)>> changes{
      {"value_dtype", [](LayerOptions& o) { o.value_dtype = "float16"; }},
      {"dtype_policy", [](LayerOptions& o) { o.dtype_policy = "mixed_float16"; }}};
  for (const auto& [name, change] : changes) {
    LayerOptions options = named_options();
    change(options);
    try {
      check(options);
      ADD_FAILURE() << "expected a refusal of " << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Kind::not_built) << name;
      EXPECT_NE(error.text().find(name), std::string::npos) << error.text();
      EXPECT_NE(error.text().find("not built in this version"), std::string::npos) << error.text();
    }
  }
}

TEST(LayerOptions, AnUnknownFormOfEmptyBagsIsRefusedWithTheNearest) {
  LayerOptions options = named_options();
  options.empty_bag = "zero";
  try {
    check(options);
    ADD_FAILURE() << "expected a refusal";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::invalid_argument);
    EXPECT_EQ(error.text(),
              "layer items: expected empty_bag of zeros, tf: found \"zero\"; did you mean "
              "\"zeros\"?");
  }
}

/// What a layer gives for three lists of which the second is empty.
std::vector<float> with_an_empty_list(const std::string& combiner, const std::string& empty_bag) {
  std::vector<float> found;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = named_options();
    options.combiner = combiner;
    options.empty_bag = empty_bag;
    SquashedEmbedding<Cpu> layer(tables, options);
    const std::vector<Key> ids{9, 9};
    const std::vector<std::int64_t> offsets{0, 1, 1, 2};
    const LayerOutput<Cpu> output = layer.forward(stream, {ids, {}, offsets});
    found.assign(output.values.data(), output.values.data() + output.values.size());
  });
  return found;
}

TEST(LayerOptions, AnEmptyListGivesWhatTheOptionSays) {
  // TensorFlow's extremes of an empty list are the last finite numbers.
  constexpr float kMost = std::numeric_limits<float>::max();
  EXPECT_EQ(with_an_empty_list("max", "zeros"), (std::vector<float>{2, 0, 2}));
  EXPECT_EQ(with_an_empty_list("max", "tf"), (std::vector<float>{2, -kMost, 2}));
  EXPECT_EQ(with_an_empty_list("min", "tf"), (std::vector<float>{2, kMost, 2}));
  EXPECT_EQ(with_an_empty_list("prod", "tf"), (std::vector<float>{2, 1, 2}));
  EXPECT_EQ(with_an_empty_list("sum", "tf"), (std::vector<float>{2, 0, 2}));
  EXPECT_TRUE(std::isnan(with_an_empty_list("mean", "tf")[1]));
  EXPECT_EQ(with_an_empty_list("logsumexp", "tf")[1], -std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace keyshard::testing
