#include "tests/golden/layer_run.hpp"

#include <algorithm>
#include <limits>
#include <mutex>
#include <type_traits>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

bool owns(const Table<Cpu>& table, Key key) {
  return table.shards().contains(shard_of(table.partitioner(), key));
}

/// The same run with no ids, as a rank that has none calls the layer.
LayerRun without_ids(LayerRun run) {
  run.ids.clear();
  if (!run.offsets.empty()) {
    run.offsets = {0};
    if (!run.outer.empty()) {
      run.outer = {0};
    }
  } else if (run.shape.empty()) {
    run.shape = {0};
  } else {
    run.shape[0] = 0;
  }
  std::fill(run.upstream.begin(), run.upstream.end(), 0.0f);
  return run;
}

std::vector<Span<const std::int64_t>> outer_of(const LayerRun& run) {
  return run.outer.empty() ? std::vector<Span<const std::int64_t>>()
                           : std::vector<Span<const std::int64_t>>{run.outer};
}

LayerOptions options_of(const LayerRun& run) {
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = run.table.dim;
  options.combiner = run.combiner;
  options.empty_bag = run.empty_bag;
  options.initializer = Constant{run.missing};
  // Equal to SGD with rate 1, and its state is the step, minus the gradient.
  options.optimizer = Momentum{1.0f, 0.0f, false};
  options.exchange = run.exchange;
  options.pool_order = run.exchange == ExchangeMode::rows ? PoolOrder::bag : PoolOrder::shard;
  return options;
}

template <class Layer>
Layer make_layer(TableSet<Cpu>& tables, const LayerRun& run) {
  if constexpr (std::is_same_v<Layer, FieldWiseEmbedding<Cpu>>) {
    return Layer(tables, options_of(run), run.nslots, slot_map<Cpu>("", SlotOfKey{run.nslots}));
  } else {
    return Layer(tables, options_of(run));
  }
}

}  // namespace

std::vector<Key> keys_of(const GoldenTensor& tensor) {
  return {tensor.integers.begin(), tensor.integers.end()};
}

GoldenTable table_of(const GoldenValue& keys, const GoldenValue& rows) {
  return {keys_of(keys.tensor()), rows.tensor().floats(), rows.tensor().shape.at(1)};
}

void assign(Stream<Cpu>& stream, Table<Cpu>& table, const GoldenTable& rows) {
  GoldenTable owned;
  for (std::size_t i = 0; i < rows.keys.size(); ++i) {
    if (owns(table, rows.keys[i])) {
      const auto row = rows.rows.begin() + static_cast<std::ptrdiff_t>(i) * rows.dim;
      owned.keys.push_back(rows.keys[i]);
      owned.rows.insert(owned.rows.end(), row, row + rows.dim);
    }
  }
  table.assign(stream, owned.keys, owned.rows.data());
}

void copy_rows(Stream<Cpu>& stream, const Table<Cpu>& table, const std::vector<Key>& keys,
               const std::string& column, std::vector<float>& out) {
  const std::vector<RowColumn> columns = table.columns();
  const auto place = std::find_if(columns.begin(), columns.end(),
                                  [&](const RowColumn& c) { return c.name == column; });
  require(place != columns.end(), Kind::invalid_argument, "expected a column {}: found none",
          column);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    RowId row = kNoRow;
    if (owns(table, keys[i])) {
      table.find(stream, Span<const Key>(&keys[i], 1), &row);
    }
    if (row != kNoRow) {
      table.copy_column(Span<const RowId>(&row, 1), *place,
                        out.data() + static_cast<std::int64_t>(i) * place->width);
    }
  }
}

template <class Layer>
LayerResult run_layer(const LayerRun& run) {
  const std::size_t numbers = run.distinct.size() * static_cast<std::size_t>(run.table.dim);
  const float none = std::numeric_limits<float>::quiet_NaN();
  LayerResult result{{}, {}, std::vector<float>(numbers, none), std::vector<float>(numbers, none)};
  std::mutex mutex;
  run_ranks(run.ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    const bool root = communicator.rank() == 0;
    const LayerRun mine = root ? run : without_ids(run);
    TableSet<Cpu> tables(communicator);
    Layer layer = make_layer<Layer>(tables, run);
    assign(stream, layer.table(), run.table);
    const LayerOutput<Cpu> output =
        layer.forward(stream, IdsView{mine.ids, mine.shape, mine.offsets, outer_of(mine)});
    if (!run.upstream.empty()) {
      layer.backward(stream, output, mine.upstream.data());
      tables.apply(stream, UpdateContext{});
    }
    const std::lock_guard lock(mutex);
    copy_rows(stream, layer.table(), run.distinct, "values/values", result.rows);
    copy_rows(stream, layer.table(), run.distinct, "state/values/m", result.gradients);
    if (root) {
      result.shape = output.shape;
      result.output.assign(output.values.data(), output.values.data() + output.values.size());
    }
  });
  for (float& gradient : result.gradients) {
    gradient = -gradient;
  }
  return result;
}

template LayerResult run_layer<SquashedEmbedding<Cpu>>(const LayerRun& run);
template LayerResult run_layer<Embedding<Cpu>>(const LayerRun& run);
template LayerResult run_layer<FieldWiseEmbedding<Cpu>>(const LayerRun& run);

}  // namespace keyshard::testing
