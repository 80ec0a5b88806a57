// The options of layers: those that are refused, and what an empty bag gives.
#include "embedding/layers/layer.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

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

/// What a layer over a new table gives for a bag of three ids, and their rows after a step of SGD
/// at rate 1.
struct Stepped {
  std::vector<float> output, rows;
};

const std::vector<Key> kBag{3, 1, 8};
const std::vector<float> kUpstream{0.3f, -0.7001f};

LayerOptions bag_options() {
  LayerOptions options = named_options();
  options.embedding_size = 2;
  options.initializer = Uniform{-1, 1};
  options.optimizer = Sgd{1};
  return options;
}

/// The rows of the bag in a table of float32, before a step.
std::vector<float> initial_rows() {
  std::vector<float> values(6);
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(tables, bag_options());
    const std::vector<RowId> none(3, kNoRow);
    layer.table().read(stream, kBag, none.data(), false, values.data());
  });
  return values;
}

Stepped stepped(const std::string& dtype, const std::string& policy) {
  Stepped result;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = bag_options();
    options.value_dtype = dtype;
    options.dtype_policy = policy;
    SquashedEmbedding<Cpu> layer(tables, options);
    const LayerOutput<Cpu> output = layer.forward(stream, {kBag, {1, 3}, {}});
    result.output.assign(output.values.data(), output.values.data() + 2);
    layer.backward(stream, output, kUpstream.data());
    tables.apply(stream, {});
    result.rows.resize(6);
    std::vector<RowId> rows(3);
    layer.table().find(stream, kBag, rows.data());
    layer.table().read(stream, kBag, rows.data(), false, result.rows.data());
  });
  return result;
}

TEST(DtypePolicies, RoundRowsOutputsAndUpstreamGradientsOnceEach) {
  using enum ValueDtype;

  struct Case {
    const char* dtype;
    const char* policy;
    ValueDtype rows, outputs;
  };

  const std::vector<float> initial = initial_rows();
  for (const Case& one :
       {Case{"float32", "float32", float32, float32}, Case{"float16", "", float16, float16},
        Case{"bfloat16", "bfloat16", bfloat16, bfloat16},
        Case{"float32", "mixed_float16", float32, float16},
        Case{"float32", "mixed_bfloat16", float32, bfloat16}}) {
    SCOPED_TRACE(one.policy);
    const Stepped found = stepped(one.dtype, one.policy);
    const auto row = [&](std::size_t i, std::size_t d) {
      return rounded_value(one.rows, initial[2 * i + d]);
    };
    for (std::size_t d = 0; d < 2; ++d) {
      EXPECT_EQ(found.output[d], rounded_value(one.outputs, row(0, d) + row(1, d) + row(2, d)));
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(found.rows[2 * i + d],
                  rounded_value(one.rows, row(i, d) - rounded_value(one.outputs, kUpstream[d])));
      }
    }
  }
}

TEST(ValueDtype, RowsTravelInTheirType) {
  constexpr std::int64_t kDim = 6;
  std::map<std::string, std::int64_t> bytes;
  for (const std::string dtype : {"float32", "float16", "bfloat16"}) {
    run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
      TableSet<Cpu> tables(communicator);
      LayerOptions options = named_options();
      options.embedding_size = kDim;
      options.value_dtype = dtype;
      SquashedEmbedding<Cpu> layer(tables, options);
      std::vector<Key> ids(40);
      std::iota(ids.begin(), ids.end(), static_cast<Key>(communicator.rank() * 20));
      const LayerOutput<Cpu> output = layer.forward(stream, {ids, {4, 10}, {}});
      std::int64_t all = output.trace.traffic().bytes;
      communicator.all_reduce(Span<std::int64_t>(&all, 1), Reduction::sum);
      if (communicator.rank() == 0) {
        bytes[dtype] = all;
      }
    });
  }
  // Each key travels with 8 bytes and comes back as a row.
  const std::int64_t keys = bytes["float32"] / (8 + 4 * kDim);
  EXPECT_GT(keys, 20);
  EXPECT_EQ(bytes["float32"], keys * (8 + 4 * kDim));
  EXPECT_EQ(bytes["float16"], keys * (8 + 2 * kDim));
  EXPECT_EQ(bytes["bfloat16"], bytes["float16"]);
}

TEST(ValueDtype, OfASharedTableIsThatOfItsLayers) {
  run_ranks(1, 1, [](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    TableSet<Cpu> tables(communicator);
    LayerOptions options = named_options();
    options.value_dtype = "float16";
    SquashedEmbedding<Cpu> layer(tables, options);
    LayerOptions other = named_options();
    other.name = "other";
    other.share = "items";
    try {
      SquashedEmbedding<Cpu> sharing(tables, other);
      ADD_FAILURE() << "expected a refusal";
    } catch (const Error& error) {
      EXPECT_EQ(error.text(),
                "layer other: expected value_dtype float16 of the shared table items: found "
                "float32");
    }
  });
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
