// Random programs of layer calls against a sequential reference: options, shapes, masks, weights,
// shared tables, inferences, steps and set_weights, on one to four ranks in every exchange mode. A
// failure names the seed of its program; KEYSHARD_SEED runs that one alone.
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/embedding/layers/random_program.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

constexpr int kPrograms = 10000;

/// What the library makes of a round.
struct Found {
  std::vector<std::vector<std::vector<float>>> outputs;  ///< [calls][ranks]
  std::map<Key, std::vector<float>> rows;                ///< after the step
};

/// One rank of a round.
void run_round(const Round& round, TableSet<Cpu>& tables,
               std::vector<std::unique_ptr<SquashedEmbedding<Cpu>>>& layers, Stream<Cpu>& stream,
               std::mutex& mutex, Found& found) {
  const auto rank = static_cast<std::size_t>(tables.communicator().rank());
  std::vector<LayerOutput<Cpu>> outputs;
  for (const Call& call : round.calls) {
    const Part& part = call.parts[rank];
    std::vector<Span<const std::int64_t>> outer;
    if (!part.outer.empty()) {
      outer.push_back(part.outer);
    }
    outputs.push_back((*layers[call.layer])(stream, {part.ids, part.shape, part.offsets, outer},
                                            {.training = call.training,
                                             .slices = nullptr,
                                             .mask = part.mask,
                                             .weights = part.weights}));
  }
  for (std::size_t c = 0; c < outputs.size(); ++c) {
    if (round.calls[c].training) {
      layers[round.calls[c].layer]->backward(stream, outputs[c],
                                             round.calls[c].parts[rank].upstream.data());
    }
  }
  tables.apply(stream, {});
  const LayerWeights rows = layers[0]->get_weights();
  const std::lock_guard lock(mutex);
  for (std::size_t c = 0; c < outputs.size(); ++c) {
    const Buffer<float, Cpu>& values = outputs[c].values;
    found.outputs[c][rank].assign(values.data(), values.data() + values.size());
  }
  for (std::size_t i = 0; i < rows.keys.size(); ++i) {
    const auto row = rows.values.begin() + static_cast<std::ptrdiff_t>(i) * rows.embedding_size;
    found.rows[rows.keys[i]].assign(row, row + rows.embedding_size);
  }
}

std::vector<Found> run_library(const Program& program) {
  std::vector<Found> found(program.rounds.size());
  for (std::size_t r = 0; r < found.size(); ++r) {
    found[r].outputs.assign(
        program.rounds[r].calls.size(),
        std::vector<std::vector<float>>(static_cast<std::size_t>(program.ranks)));
  }
  std::mutex mutex;
  run_ranks(program.ranks, program.threads,
            [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
              TableSet<Cpu> tables(communicator);
              std::vector<std::unique_ptr<SquashedEmbedding<Cpu>>> layers;
              for (const LayerOptions& options : program.layers) {
                layers.push_back(std::make_unique<SquashedEmbedding<Cpu>>(tables, options));
              }
              layers[0]->build({std::nullopt});
              for (std::size_t r = 0; r < found.size(); ++r) {
                const Round& round = program.rounds[r];
                run_round(round, tables, layers, stream, mutex, found[r]);
                if (!round.set.empty()) {
                  layers[0]->set_weights(stream,
                                         round.set[static_cast<std::size_t>(communicator.rank())]);
                }
              }
            });
  return found;
}

ReferenceStep reference_step(const LayerOptions& layer) {
  const Regularization& rules = layer.regularization;
  ReferenceStep step{static_cast<double>(rules.clip_value),
                     static_cast<double>(rules.clip_norm),
                     static_cast<double>(rules.l2),
                     {}};
  if (const auto* momentum = std::get_if<Momentum>(&layer.optimizer)) {
    step.update = [nesterov = momentum->nesterov](double& w, double& m, double g) {
      m = 0.5 * m - 0.25 * g;
      w += nesterov ? 0.5 * m - 0.25 * g : m;
    };
  } else if (std::holds_alternative<Adagrad>(layer.optimizer)) {
    step.initial_state = 0.5;
    step.update = [](double& w, double& sum, double g) {
      sum += g * g;
      w -= 0.25 * g / std::sqrt(sum + 1e-7);
    };
  } else {
    step.update = [](double& w, double&, double g) { w -= 0.5 * g; };
  }
  return step;
}

/// A table whose absent keys read as those of the library do: what these numbers are is tested
/// elsewhere.
ReferenceTable reference_table(const LayerOptions& layer) {
  std::map<Key, std::vector<double>> initial;
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> rows(tables, layer);
    const LayerOutput<Cpu> all = rows(stream, {kProgramKeys, {std::ssize(kProgramKeys)}, {}});
    for (std::size_t i = 0; i < kProgramKeys.size(); ++i) {
      const float* row = all.values.data() + static_cast<std::int64_t>(i) * layer.embedding_size;
      initial[kProgramKeys[i]].assign(row, row + layer.embedding_size);
    }
  });
  return {[initial](Key key) { return initial.at(key); }, reference_step(layer)};
}

void expect_near(const std::vector<float>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(found[i]), expected[i], 2e-4 * (1 + std::abs(expected[i])))
        << i;
  }
}

/// What a call must return on one rank. An inference may read zeros for keys without rows.
std::vector<double> reference_output(ReferenceTable& table, const LayerOptions& layer,
                                     const Call& call, const Part& part) {
  ReferenceTable read = table;
  if (!call.training && layer.missing == Missing::zeros) {
    for (const Key key : kProgramKeys) {
      if (table.rows().count(key) == 0) {
        read.assign(key, std::vector<double>(static_cast<std::size_t>(layer.embedding_size)));
      }
    }
  }
  std::vector<double> output;
  for (const ReferenceSample& sample : part.samples) {
    const std::vector<double> value = read.value(layer.combiner.name, sample);
    output.insert(output.end(), value.begin(), value.end());
  }
  return output;
}

void check_round(const Program& program, const Round& round, const Found& found,
                 ReferenceTable& table) {
  const std::int64_t dim = program.layers[0].embedding_size;
  for (std::size_t c = 0; c < round.calls.size(); ++c) {
    const Call& call = round.calls[c];
    const LayerOptions& layer = program.layers[call.layer];
    for (std::size_t rank = 0; rank < call.parts.size(); ++rank) {
      SCOPED_TRACE(fmt::format("call {} of rank {}, {}", c, rank, layer.combiner.name));
      const Part& part = call.parts[rank];
      expect_near(found.outputs[c][rank], reference_output(table, layer, call, part));
      for (std::size_t s = 0; call.training && layer.trainable && s < part.samples.size(); ++s) {
        const auto g = part.upstream.begin() + static_cast<std::ptrdiff_t>(s) * dim;
        table.backward(layer.combiner.name, part.samples[s], {g, g + dim});
      }
    }
  }
  table.apply();
  ASSERT_EQ(found.rows.size(), table.rows().size());
  for (auto& [key, row] : table.rows()) {
    SCOPED_TRACE(fmt::format("row of key {}", key));
    ASSERT_EQ(found.rows.count(key), 1u);
    expect_near(found.rows.at(key), row.values);
    // From here on with the same floats, so that ties are the same.
    row.values.assign(found.rows.at(key).begin(), found.rows.at(key).end());
  }
}

void check_program(std::uint64_t seed) {
  SCOPED_TRACE(fmt::format("KEYSHARD_SEED={}", seed));
  const Program program = draw_program(seed);
  const std::vector<Found> found = run_library(program);
  ReferenceTable table = reference_table(program.layers[0]);
  for (std::size_t r = 0; r < found.size(); ++r) {
    SCOPED_TRACE(fmt::format("round {}", r));
    check_round(program, program.rounds[r], found[r], table);
    if (!program.rounds[r].set.empty()) {
      table.rows().clear();
    }
    for (const LayerWeights& part : program.rounds[r].set) {
      for (std::size_t i = 0; i < part.keys.size(); ++i) {
        const auto row = part.values.begin() + static_cast<std::ptrdiff_t>(i) * part.embedding_size;
        table.assign(part.keys[i], {row, row + part.embedding_size});
      }
    }
  }
}

TEST(RandomPrograms, AreNearTheReference) {
  if (const char* seed = std::getenv("KEYSHARD_SEED"); seed != nullptr) {
    return check_program(std::stoull(seed));
  }
  for (std::uint64_t seed = 0; seed < kPrograms && !HasFailure(); ++seed) {
    check_program(seed);
  }
}

}  // namespace
}  // namespace keyshard::testing
