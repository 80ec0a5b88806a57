// Layers that pool bags, by combiner; and what options of a call or a table cost beside a plain
// one.
#include <algorithm>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "embedding/layers/squashed_embedding.hpp"
#include "launch/bench/floors.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"

namespace keyshard {
namespace {

/// The bags of one feature in every step, as a layer takes them.
struct FeatureBags {
  std::vector<std::vector<Key>> keys;
  std::vector<std::vector<std::int64_t>> offsets;

  FeatureBags(const IdBatches& batches, std::int64_t feature) {
    for (std::int64_t step = 0; step < batches.steps(); ++step) {
      keys.emplace_back();
      offsets.push_back({0});
      const Span<const Key> ids = batches.keys_of(step);
      const Span<const std::int64_t> all = batches.offsets_of(step);
      for (std::int64_t b = 0; b < batches.samples; ++b) {
        const auto bag = static_cast<std::size_t>(b * batches.features + feature);
        keys.back().insert(keys.back().end(), ids.begin() + all[bag], ids.begin() + all[bag + 1]);
        offsets.back().push_back(static_cast<std::int64_t>(keys.back().size()));
      }
    }
  }

  IdsView of(std::int64_t step) const {
    return {keys[static_cast<std::size_t>(step)], {}, offsets[static_cast<std::size_t>(step)]};
  }
};

/// A layer per combiner and feature, all with one table.
class PoolingLayers {
 public:
  PoolingLayers(BenchContext& context, const std::vector<std::string>& combiners)
      : stream_(context.stream()), tables_(context.communicator()) {
    const IdBatches& own = context.own("W2");
    for (std::int64_t f = 0; f < own.features; ++f) {
      bags_.emplace_back(own, f);
    }
    for (const std::string& combiner : combiners) {
      std::vector<SquashedEmbedding<Cpu>>& layers = layers_[combiner];
      for (std::int64_t f = 0; f < own.features; ++f) {
        LayerOptions options;
        options.embedding_size = context.dim();
        options.name = fmt::format("{}{}", combiner, f);
        options.share = tables_.tables().empty() ? "" : tables_.tables().front()->options().name;
        options.combiner = combiner;
        options.initializer = Constant{};
        options.optimizer = bench_adagrad();
        layers.emplace_back(tables_, options);
      }
    }
    fill_rows<Cpu>(stream_, *tables_.tables().front(), context.whole("W2").keys);
  }

  /// Bags of a step pooled by one of the combiners; with a mask that no id is out of, or with a
  /// weight of 1 for each id.
  void lookup(const std::string& combiner, std::int64_t step, bool masked = false,
              bool weighted = false) {
    std::vector<SquashedEmbedding<Cpu>>& layers = layers_.at(combiner);
    for (std::size_t f = 0; f < layers.size(); ++f) {
      const IdsView ids = bags_[f].of(step);
      const auto n = static_cast<std::size_t>(ids.size());
      mask_.resize(std::max(mask_.size(), n), 1);
      weights_.resize(std::max(weights_.size(), n), 1);
      const std::int64_t size = ids.size();
      layers[f](stream_, ids,
                {.training = false,
                 .mask = {mask_.data(), masked ? size : 0},
                 .weights = {weights_.data(), weighted ? size : 0}});
    }
  }

 private:
  Stream<Cpu>& stream_;
  TableSet<Cpu> tables_;
  std::map<std::string, std::vector<SquashedEmbedding<Cpu>>> layers_;  // by combiner
  std::vector<FeatureBags> bags_;
  std::vector<std::uint8_t> mask_;
  std::vector<float> weights_;
};

/// Each contender from the second on beside the first. A second one that does the same shows what a
/// ratio is worth on a machine that does other work as well.
void compare_with_first(BenchContext& context, const std::vector<BenchResult>& results) {
  for (std::size_t i = 1; i < results.size(); ++i) {
    context.report().compare(results[i], results[0]);
  }
}

/// Combiners beside the sum, and all of them beside the floor of the sum.
void race_combiners(BenchContext& context) {
  const IdBatches& own = context.own("W2");
  SparseFloor floor(context.stream().threads(), context.dim(), FloorOptimizer::adagrad);
  floor.insert(own.keys);
  std::vector<float> out(static_cast<std::size_t>(own.bags() * context.dim()));
  PoolingLayers layers(context, combiner_names());
  std::vector<Contender> contenders{
      {"floor sum",
       [&](std::int64_t s) { floor.lookup(own.keys_of(s), own.offsets_of(s), out.data()); }},
      {context.own_name("sum"), [&](std::int64_t s) { layers.lookup("sum", s); }},
      {context.own_name("sum again"), [&](std::int64_t s) { layers.lookup("sum", s); }}};
  for (const std::string& combiner : combiner_names()) {
    if (combiner != "sum") {
      contenders.push_back({context.own_name(combiner),
                            [&layers, combiner](std::int64_t s) { layers.lookup(combiner, s); }});
    }
  }
  std::vector<BenchResult> results = context.race("W2 layers", own.steps(), contenders);
  compare_with_first(context, results);
  results.erase(results.begin());
  compare_with_first(context, results);
}

/// Calls with a mask and with weights, beside calls without.
void race_calls(BenchContext& context) {
  PoolingLayers layers(context, {"sum"});
  const auto call = [&](const char* name, bool masked, bool weighted) {
    return Contender{name, [&layers, masked, weighted](std::int64_t s) {
                       layers.lookup("sum", s, masked, weighted);
                     }};
  };
  compare_with_first(context,
                     context.race("W2 layers sum", context.own("W2").steps(),
                                  {call("plain", false, false), call("plain again", false, false),
                                   call("mask", true, false), call("weights", false, true)}));
}

/// Training steps with options of the table, beside steps without.
void race_options(BenchContext& context) {
  const IdBatches& own = context.own("W1");
  SparseOptions plain;
  plain.dim = context.dim();
  plain.optimizer = bench_adagrad();
  const auto changed = [&](const auto& change) {
    SparseOptions options = plain;
    change(options);
    auto step =
        std::make_unique<SparseStep<Cpu>>(context.communicator(), context.stream(), own, options);
    step->fill(context.whole("W1"));
    return step;
  };
  const std::pair<const char*, std::unique_ptr<SparseStep<Cpu>>> steps[] = {
      {"plain", changed([](SparseOptions&) {})},
      {"plain again", changed([](SparseOptions&) {})},
      {"weights", changed([](SparseOptions& o) { o.weighted = true; })},
      {"max_norm", changed([](SparseOptions& o) { o.max_norm = 1; })},
      {"frequency", changed([](SparseOptions& o) { o.restrict_policy = policy_of("frequency"); })},
      {"timestamp", changed([](SparseOptions& o) { o.restrict_policy = policy_of("timestamp"); })},
      {"admit_after", changed([](SparseOptions& o) { o.admit_after = 2; })}};
  std::vector<Contender> contenders;
  for (const auto& [name, step] : steps) {
    contenders.push_back({name, [one = step.get()](std::int64_t s) { one->train(s); }});
  }
  compare_with_first(context, context.race("W1 train", own.steps(), contenders));
}

}  // namespace

void measure_pool(BenchContext& context) {
  race_combiners(context);
  race_calls(context);
  race_options(context);
}

}  // namespace keyshard
