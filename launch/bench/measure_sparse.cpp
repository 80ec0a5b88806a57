// Lookup and sparse training step of W1, W2 and W3.
#include <fmt/format.h>

#include "launch/bench/floors.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"

namespace keyshard {
namespace {

/// One way to hold the features of a workload, with its name.
struct Variant {
  std::string name;
  SparseOptions options;
};

/// The floor on the samples of this rank.
class FloorSteps {
 public:
  FloorSteps(BenchContext& context, const IdBatches& batches, std::int64_t dim,
             FloorOptimizer optimizer)
      : batches_(batches),
        floor_(context.stream().threads(), dim, optimizer),
        pooled_(context.stream(), batches.bags() * dim),
        gradients_(context.stream(), pooled_.size()) {
    if (batches.table_keys.empty()) {
      for (std::int64_t step = 0; step < batches.steps(); ++step) {
        floor_.insert(batches.keys_of(step));
      }
    } else {
      floor_.insert(batches.table_keys);
    }
    fill_gradients(gradients_.span(), 0);
  }

  void lookup(std::int64_t step) {
    floor_.lookup(batches_.keys_of(step), batches_.offsets_of(step), pooled_.data());
  }

  void train(std::int64_t step) {
    floor_.train(batches_.keys_of(step), batches_.offsets_of(step), gradients_.data(),
                 pooled_.data());
  }

 private:
  const IdBatches& batches_;
  SparseFloor floor_;
  Buffer<float, Cpu> pooled_;
  Buffer<float, Cpu> gradients_;
};

void add_rate(BenchContext& context, const IdBatches& own, BenchResult& result) {
  const double ids = own.mean_ids() * context.communicator().size();
  result.extra.emplace_back("mkeys_per_s", ids / result.median() / 1e3);
}

/// Races variants against the floor, on lookups or training steps.
void race_sparse(BenchContext& context, const std::string& workload, const std::string& measure,
                 const std::vector<Variant>& variants, bool training) {
  const IdBatches& own = context.own(workload);
  const bool rowwise = std::holds_alternative<RowwiseAdagrad>(variants.front().options.optimizer);
  FloorSteps floor(context, own, context.dim(),
                   rowwise ? FloorOptimizer::rowwise : FloorOptimizer::adagrad);
  std::vector<std::unique_ptr<SparseStep<Cpu>>> steps;
  std::vector<Contender> contenders;
  for (const Variant& variant : variants) {
    steps.push_back(std::make_unique<SparseStep<Cpu>>(context.communicator(), context.stream(), own,
                                                      variant.options));
    SparseStep<Cpu>& step = *steps.back();
    step.fill(context.whole(workload));
    contenders.push_back({context.own_name(variant.name), [&step, training](std::int64_t s) {
                            training ? step.train(s) : step.lookup(s);
                          }});
  }
  contenders.push_back({"floor", [&floor, training](std::int64_t s) {
                          training ? floor.train(s) : floor.lookup(s);
                        }});
  std::vector<BenchResult> results = context.race(measure, own.steps(), contenders);
  for (BenchResult& result : results) {
    add_rate(context, own, result);
  }
  for (std::size_t v = 0; v < variants.size(); ++v) {
    results[v].extra.emplace_back("rows", static_cast<double>(steps[v]->rows()));
    context.report().compare(results[v], results.back(),
                             training ? steps[v]->shares() : std::string());
  }
}

std::vector<Variant> tables_variants(std::int64_t dim, const Optimizer& optimizer) {
  SparseOptions one;
  one.dim = dim;
  one.optimizer = optimizer;
  SparseOptions each = one;
  each.table_per_feature = true;
  return {{"", one}, {"tables", each}};
}

std::vector<Variant> order_variants(std::int64_t dim, const Optimizer& optimizer) {
  SparseOptions bag;
  bag.dim = dim;
  bag.optimizer = optimizer;
  SparseOptions shard = bag;
  shard.pool_order = PoolOrder::shard;
  return {{"", bag}, {"shard", shard}};
}

/// Rows of every type.
std::vector<Variant> dtype_variants(std::int64_t dim, const Optimizer& optimizer) {
  std::vector<Variant> variants;
  for (const ValueDtype dtype : {ValueDtype::float32, ValueDtype::float16, ValueDtype::bfloat16}) {
    SparseOptions options;
    options.dim = dim;
    options.optimizer = optimizer;
    options.value_dtype = dtype;
    variants.push_back({dtype == ValueDtype::float32 ? "" : option_name(dtype), options});
  }
  return variants;
}

}  // namespace

void measure_lookup(BenchContext& context) {
  race_sparse(context, "W1", "W1 lookup", tables_variants(context.dim(), bench_adagrad()), false);
  race_sparse(context, "W2", "W2 lookup+sum", order_variants(context.dim(), bench_adagrad()),
              false);
  if (context.dim() <= 16) {
    race_sparse(context, "W3", "W3 lookup", dtype_variants(context.dim(), bench_adagrad()), false);
  }
}

void measure_train(BenchContext& context) {
  for (const auto& [name, optimizer] :
       {std::pair{"adagrad", bench_adagrad()}, std::pair{"rowwise", bench_rowwise_adagrad()}}) {
    race_sparse(context, "W1", fmt::format("W1 train {}", name),
                tables_variants(context.dim(), optimizer), true);
    race_sparse(context, "W2", fmt::format("W2 train {}", name),
                order_variants(context.dim(), optimizer), true);
  }
  if (context.dim() <= 16) {
    race_sparse(context, "W3", "W3 train adagrad", dtype_variants(context.dim(), bench_adagrad()),
                true);
  }
}

}  // namespace keyshard
