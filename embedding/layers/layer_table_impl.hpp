// The body of layer_table: the table of a layer, which it makes or shares.
#pragma once

#include <string>
#include <vector>

#include "embedding/layers/devices.hpp"
#include "embedding/layers/dtype_policy.hpp"
#include "embedding/layers/layer.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {

/// The table that a name means here: of the innermost scope that has one. Throws as TableSet::at.
template <Backend B>
Table<B>& table_in_scope(const TableSet<B>& tables, const std::string& name) {
  for (const std::string& path : tables.scopes()->paths(name)) {
    for (const auto& table : tables.tables()) {
      if (table->options().name == path) {
        return *table;
      }
    }
  }
  return tables.at(name);
}

/// The table of another layer, which this layer shares. `owners` are those of its own options.
template <Backend B>
Table<B>& shared_table(const TableSet<B>& tables, const LayerOptions& options,
                       const std::vector<std::int64_t>& owners) {
  Table<B>& shared = table_in_scope(tables, options.share);
  require(shared.layout().dim == options.embedding_size, Kind::invalid_argument,
          "layer {}: expected embedding_size {} of the shared table {}: found {}", options.name,
          shared.layout().dim, options.share, options.embedding_size);
  const std::string& dtype = option_name(shared.options().value_dtype);
  require(dtype == options.value_dtype, Kind::invalid_argument,
          "layer {}: expected value_dtype {} of the shared table {}: found {}", options.name, dtype,
          options.share, options.value_dtype);
  const double limit = shared.options().groups.front().max_norm;
  require(options.max_norm.value_or(limit) == limit, Kind::invalid_argument,
          "layer {}: expected max_norm {} of the shared table {}, or none given: found {}",
          options.name, limit > 0 ? fmt::format("{}", limit) : "none", options.share,
          options.max_norm.value_or(limit));
  require(!options.bp_v2 || shared.options().bp_v2, Kind::invalid_argument,
          "layer {}: expected bp_v2 of the shared table {}, false: found true", options.name,
          options.share);
  const std::int64_t ranks = tables.communicator().size();
  require(
      owners.empty() || ShardOwners(ranks, kShards, owners) == owners_of(shared.options(), ranks),
      Kind::invalid_argument,
      "layer {}: expected devices of the shared table {}, or none given: found [{}]", options.name,
      options.share, joined(options.devices, ", "));
  tables.scopes()->require_key_dtype(options.name, shared.options().name, options.key_dtype);
  return shared;
}

/// The options of the table of a layer; `path` is the name of the layer after its scopes, `seed`
/// that of the job.
inline TableOptions table_options(const LayerOptions& options, const std::string& path,
                                  const std::vector<std::int64_t>& owners, std::uint64_t seed) {
  TableOptions table;
  table.name = path;
  table.groups = {{.name = "values",
                   .dim = options.embedding_size,
                   .initializer = options.initializer,
                   .constant = options.constant,
                   .optimizer = options.optimizer,
                   .regularization = options.regularization,
                   .max_norm = options.max_norm.value_or(0)}};
  table.value_dtype = value_dtype_of(options.value_dtype);
  table.trainable = !is_integer(table.value_dtype);
  table.partitioner = options.partitioner;
  table.seed = options.seed.value_or(hash_bytes(path, seed));
  table.exchange = options.exchange;
  table.pool_order = options.pool_order;
  table.missing = options.missing;
  table.bp_v2 = options.bp_v2;
  table.init_capacity = options.init_capacity;
  table.restrict_policy = restrict_policy_of(options);
  table.max_rows = options.max_rows;
  table.restrict_every = options.restrict_every;
  table.admit_after = options.admit_after;
  table.admit_probability = options.admit_probability;
  table.kv_creator = options.kv_creator;
  table.owners = owners;
  return table;
}

template <Backend B>
Table<B>& layer_table(TableSet<B>& tables, const LayerOptions& options) {
  check(options);
  const std::vector<std::int64_t> owners =
      device_ranks(options.name, options.devices, tables.communicator().size(),
                   std::same_as<B, Cpu> ? "cpu" : "gpu");
  const std::string path = tables.scopes()->paths(options.name).front();
  require(path == options.name || options.name != "sightings", Kind::invalid_argument,
          "layer {}: expected another name inside a scope, for a checkpoint has the sightings of a "
          "table beside it under this one",
          options.name);
  Table<B>& table = options.share.empty()
                        ? tables.create(table_options(options, path, owners, tables.seed()))
                        : shared_table(tables, options, owners);
  tables.scopes()->add_reader(path, table.options().name, options.key_dtype);
  return table;
}

}  // namespace keyshard
