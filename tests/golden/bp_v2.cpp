// bp_v2.json: rows that another writer changes between their read and their write-back, by value
// and by increment.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>

#include <fmt/format.h>

#include "tests/golden/layer_run.hpp"
#include "tests/golden/sections.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

using Rows = std::map<Key, std::vector<float>>;

Rows rows_in(const GoldenValue& table) {
  Rows rows;
  const std::vector<Key> keys = keys_of(table["keys"].tensor());
  const std::vector<float> values = table["rows"].tensor().floats();
  const auto dim = static_cast<std::ptrdiff_t>(table["rows"].tensor().shape.at(1));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(i) * dim;
    rows[keys[i]].assign(row, row + dim);
  }
  return rows;
}

Rows rows_in(const Table<Cpu>& table) {
  Rows rows;
  for (std::int64_t shard = 0; shard < kShards; ++shard) {
    const ShardRows found = table.shard_rows(shard);
    for (std::size_t i = 0; i < found.keys.size(); ++i) {
      std::vector<float>& row = rows[found.keys[i]];
      row.resize(static_cast<std::size_t>(table.layout().dim));
      table.copy_column(Span<const RowId>(&found.rows[i], 1), table.columns().front(), row.data());
    }
  }
  return rows;
}

void put(Stream<Cpu>& stream, Table<Cpu>& table, const Rows& rows) {
  for (const auto& [key, row] : rows) {
    table.assign(stream, Span<const Key>(&key, 1), row.data());
  }
}

/// What another writer does: rows that come or change, and rows that go.
void write_meanwhile(Stream<Cpu>& stream, Table<Cpu>& table, const GoldenValue& writes) {
  Rows rows = rows_in(table);
  for (const GoldenValue& write : writes.list()) {
    const auto key = static_cast<Key>(std::stoll(write["key"].text()));
    if (write["row"].is_null()) {
      rows.erase(key);
    } else {
      rows[key] = write["row"].tensor().floats();
    }
  }
  table.clear(stream);
  put(stream, table, rows);
}

/// Compares a table; bound(key, column) is the tolerance of a number.
template <class Bound>
void compare(const std::string& what, const Rows& found, const Rows& expected, const Bound& bound,
             GoldenCase& one) {
  std::vector<std::int64_t> found_keys, expected_keys;
  for (const auto& [key, row] : found) {
    found_keys.push_back(static_cast<std::int64_t>(key));
  }
  for (const auto& [key, row] : expected) {
    expected_keys.push_back(static_cast<std::int64_t>(key));
  }
  one.equal(what + " keys", found_keys, expected_keys);
  for (const auto& [key, row] : expected) {
    for (std::size_t d = 0; d < row.size() && found.count(key) == 1; ++d) {
      one.near(fmt::format("{} key {}", what, static_cast<std::int64_t>(key)), found.at(key)[d],
               row[d], bound(key, d));
    }
  }
}

LayerOptions options_of(std::int64_t dim, bool bp_v2, float missing, const Optimizer& optimizer) {
  LayerOptions options;
  options.name = "golden";
  options.embedding_size = dim;
  options.initializer = Constant{missing};
  options.optimizer = optimizer;
  options.bp_v2 = bp_v2;
  return options;
}

/// A case of write_back, in one of the two ways.
void check_write_back(const GoldenValue& value, bool bp_v2, GoldenCase& one) {
  const std::vector<Key> keys = keys_of(value["keys"].tensor());
  const std::vector<float> old = value["old"].tensor().floats(),
                           updated = value["new"].tensor().floats();
  const auto dim = static_cast<std::size_t>(value["dim"].integer());
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(tables, options_of(value["dim"].integer(), bp_v2, 0, Sgd{}));
    Table<Cpu>& table = layer.table();
    put(stream, table, rows_in(value["before"]));
    std::vector<RowId> read(keys.size());
    table.find(stream, keys, read.data());
    std::vector<std::int64_t> exists;
    for (const RowId row : read) {
      exists.push_back(row == kNoRow ? 0 : 1);
    }
    one.equal("exists", exists, value["exists"].tensor().integers);
    write_meanwhile(stream, table, value["meanwhile"]);
    table.write_back(stream, {keys, read.data(), old.data(), updated.data()});
    const auto bound = [&](Key key, std::size_t d) {
      const auto at = std::find(keys.begin(), keys.end(), key) - keys.begin();
      const std::size_t i = static_cast<std::size_t>(at) * dim + d;
      const bool asked = static_cast<std::size_t>(at) < keys.size();
      return bp_v2 && asked
                 ? 4 * kUnit *
                       (std::abs(rows_in(table)[key][d]) + std::abs(old[i]) + std::abs(updated[i]))
                 : 0.0;
    };
    compare("table", rows_in(table), rows_in(value[bp_v2 ? "by_increment" : "by_value"]), bound,
            one);
  });
}

/// A step of a layer, by increment, with a second writer between forward and step.
void check_layer_step(const GoldenValue& value, GoldenCase& one) {
  const auto rate = static_cast<float>(value["lr"].number());
  const std::vector<Key> ids = keys_of(value["ids"].tensor());
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    SquashedEmbedding<Cpu> layer(
        tables, options_of(value["dim"].integer(), value["bp_v2"].flag(),
                           static_cast<float>(value["missing"].number()), Sgd{rate}));
    put(stream, layer.table(), rows_in(value["before"]));
    const LayerOutput<Cpu> output =
        layer.forward(stream, IdsView{ids, value["ids"].tensor().shape, {}});
    write_meanwhile(stream, layer.table(), value["meanwhile"]);
    layer.backward(stream, output, value["upstream"].tensor().floats().data());
    tables.apply(stream, UpdateContext{});
    const Rows expected = rows_in(value["after"]);
    compare(
        "table", rows_in(layer.table()), expected,
        [&](Key key, std::size_t d) {
          return 32 * kUnit * std::max(1.0, static_cast<double>(std::abs(expected.at(key)[d])));
        },
        one);
  });
}

/// The gradient of each key: the sum of those of its bags.
Rows gradients_of(const GoldenValue& value) {
  const std::vector<float> upstream = value["upstream"].tensor().floats();
  const std::vector<Key> ids = keys_of(value["ids"].tensor());
  const auto bag = static_cast<std::size_t>(value["ids"].tensor().shape.at(1));
  Rows gradients;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::vector<float>& sum = gradients[ids[i]];
    sum.resize(static_cast<std::size_t>(value["dim"].integer()));
    for (std::size_t d = 0; d < sum.size(); ++d) {
      sum[d] += upstream[i / bag * sum.size() + d];
    }
  }
  return gradients;
}

/// The same by value: a program that steps the rows that it read, and writes them back.
void check_step_of_program(const GoldenValue& value, GoldenCase& one) {
  const auto rate = static_cast<float>(value["lr"].number());
  const std::int64_t dim = value["dim"].integer();
  const Rows gradients = gradients_of(value);
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    Embedding<Cpu> layer(
        tables, options_of(dim, false, static_cast<float>(value["missing"].number()), Sgd{}));
    Table<Cpu>& table = layer.table();
    put(stream, table, rows_in(value["before"]));
    std::vector<Key> keys;
    for (const auto& [key, gradient] : gradients) {
      keys.push_back(key);
    }
    std::vector<RowId> read(keys.size());
    std::vector<float> old(keys.size() * static_cast<std::size_t>(dim)), updated;
    table.find(stream, keys, read.data());
    table.read(stream, keys, read.data(), false, old.data());
    for (const Key key : keys) {
      for (const float g : gradients.at(key)) {
        updated.push_back(old[updated.size()] - rate * g);
      }
    }
    write_meanwhile(stream, table, value["meanwhile"]);
    table.write_back(stream, {keys, read.data(), old.data(), updated.data()});
    const Rows expected = rows_in(value["after"]);
    compare(
        "table", rows_in(table), expected,
        [&](Key key, std::size_t d) {
          return 32 * kUnit * std::max(1.0, static_cast<double>(std::abs(expected.at(key)[d])));
        },
        one);
  });
}

/// Two steps of Adam on one or two layers; one flag says for a layer and its states whether rows
/// are written by increment.
void check_cross_talk(const GoldenValue& value, GoldenCase& one) {
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    TableSet<Cpu> tables(communicator);
    std::vector<SquashedEmbedding<Cpu>> layers;
    for (std::int64_t i = 0; i < value["layers"].integer(); ++i) {
      LayerOptions options = options_of(1, value["layer_bp_v2"].flag(), 0, Adam{0.1f});
      options.name += std::to_string(i);
      layers.emplace_back(tables, options);
      if (value["preloaded"].flag()) {
        put(stream, layers.back().table(), {{1, {5}}, {2, {6}}});
      }
    }
    const std::vector<Key> ids{1, 2, 3};
    const float upstream = 1;
    for (std::int64_t step = 0; step < value["steps"].integer(); ++step) {
      for (SquashedEmbedding<Cpu>& layer : layers) {
        layer.backward(stream, layer.forward(stream, IdsView{ids, {1, 3}, {}}), &upstream);
      }
      tables.apply(stream, UpdateContext{});
    }
    const Rows expected = rows_in(value["contract"]);
    for (const SquashedEmbedding<Cpu>& layer : layers) {
      compare(
          "table", rows_in(layer.table()), expected,
          [&](Key key, std::size_t d) {
            return 32 * kUnit * std::max(1.0, static_cast<double>(std::abs(expected.at(key)[d])));
          },
          one);
    }
  });
}

}  // namespace

void run_write_back(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["write_back"].list()) {
    for (const bool bp_v2 : {false, true}) {
      report.run(fmt::format("bp_v2: write_back by {}", bp_v2 ? "increment" : "value"),
                 value["name"].text(),
                 [&](GoldenCase& one) { check_write_back(value, bp_v2, one); });
    }
  }
}

void run_layer_step(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["layer_step"].list()) {
    const bool bp_v2 = value["bp_v2"].flag();
    report.run("bp_v2: layer_step", bp_v2 ? "by increment" : "by value", [&](GoldenCase& one) {
      bp_v2 ? check_layer_step(value, one) : check_step_of_program(value, one);
    });
  }
}

void run_cross_talk(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["cross_talk"].list()) {
    report.run(
        "bp_v2: cross_talk",
        fmt::format("{} layers, bp_v2 {}", value["layers"].integer(), value["layer_bp_v2"].flag()),
        [&](GoldenCase& one) { check_cross_talk(value, one); });
  }
}

}  // namespace keyshard::testing
