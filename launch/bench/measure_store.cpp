// Rows of a table that come from a store, beside what its medium gives alone; and whole steps of
// such a table.
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "embedding/rows/table_set.hpp"
#include "embedding/stores/make_store.hpp"
#include "launch/bench/measures.hpp"
#include "launch/bench/sparse_step.hpp"
#include "launch/bench/store_limits.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kKeysOfStep = 4096;

/// A place of the measure: its folder goes in the end.
class Place {
 public:
  explicit Place(const std::string& scratch)
      : folder_(fmt::format("{}/keyshard-bench-store-{}", scratch, ::getpid())) {}

  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  std::string path(const std::string& name) const {
    std::filesystem::create_directories(folder_);
    return folder_ + "/" + name;
  }

 private:
  std::string folder_;
};

TableOptions table_options(std::int64_t dim, const KvCreator& creator) {
  TableOptions options;
  options.name = "bench";
  options.groups = {{"values", dim, Constant{0.01f}, {}, bench_adagrad(), {}}};
  options.kv_creator = creator;
  return options;
}

/// The server at "HOST:PORT", or at the path of a socket, with rows of this measure alone.
RedisRows redis_at(const std::string& place) {
  RedisRows rows;
  rows.prefix = "keyshard-bench";
  rows.timeout_ms = 10'000;
  rows.host = place;
  const std::size_t colon = place.rfind(':');
  if (place.front() != '/' && colon != std::string::npos) {
    rows.host = place.substr(0, colon);
    rows.port = std::atoll(place.c_str() + colon + 1);
  }
  check(rows, "--redis " + place);
  return rows;
}

/// Distinct keys of a step, of `all` keys.
std::vector<Key> keys_of_step(std::int64_t step, std::int64_t all) {
  std::vector<Key> keys;
  const auto first = static_cast<std::int64_t>(mix64(static_cast<std::uint64_t>(step)) >> 1);
  for (std::int64_t i = 0; i < kKeysOfStep; ++i) {
    // A stride that has no common factor with a power of two visits every key once.
    keys.push_back(static_cast<Key>((first % all + i * 7919) % all));
  }
  return keys;
}

std::string rows_per_second(const BenchResult& result) {
  return fmt::format("{:.2f} M rows/s", static_cast<double>(kKeysOfStep) / result.median() / 1e3);
}

/// A step of a table with a gradient for each key.
void make_step(TableSet<Cpu>& tables, Stream<Cpu>& stream, const std::vector<Key>& keys) {
  Table<Cpu>& table = *tables.tables().front();
  std::vector<RowId> rows(keys.size(), kNoRow);
  std::vector<float> values(keys.size() * static_cast<std::size_t>(table.layout().dim), 0.1f);
  table.add({.size = std::ssize(keys),
             .keys = keys.data(),
             .rows = rows.data(),
             .values = values.data(),
             .steps = -1,
             .keep = {}});
  tables.apply(stream, {});
}

/// Fills the store of a table with keys [0, all).
void fill(TableSet<Cpu>& tables, Stream<Cpu>& stream, std::int64_t all) {
  for (std::int64_t first = 0; first < all; first += kKeysOfStep) {
    std::vector<Key> keys;
    for (std::int64_t i = 0; i < kKeysOfStep; ++i) {
      keys.push_back(static_cast<Key>(first + i));
    }
    make_step(tables, stream, keys);
  }
}

/// Reads of a store beside its medium.
void compare_reads(BenchContext& context, const std::string& name, Store& store,
                   const Partitioner& partitioner, MediumReader& medium, std::int64_t all) {
  std::vector<float> records(static_cast<std::size_t>(kKeysOfStep * store.layout().size()));
  std::vector<std::uint8_t> found(static_cast<std::size_t>(kKeysOfStep));
  const std::vector<BenchResult> results = context.race(
      "store get " + name, context.command().steps,
      {{context.own_name(name),
        [&](std::int64_t step) {
          std::vector<StoreKey> keys;
          for (const Key key : keys_of_step(step, all)) {
            keys.push_back({key, static_cast<std::uint32_t>(shard_of(partitioner, key))});
          }
          store.get(keys, records.data(), found.data());
        }},
       {name + " alone", [&](std::int64_t step) { medium.read(keys_of_step(step, all)); }}});
  context.report().compare(results[0], results[1],
                           rows_per_second(results[0]) + "; alone " + rows_per_second(results[1]));
}

/// Whole steps: rows come, are updated and go back.
void show_steps(BenchContext& context, const std::string& name, TableSet<Cpu>& tables,
                std::int64_t all) {
  const std::vector<BenchResult> results = context.race(
      "store step " + name, context.command().steps,
      {{context.own_name(name),
        [&](std::int64_t step) { make_step(tables, context.stream(), keys_of_step(step, all)); }}});
  context.report().show(results[0], rows_per_second(results[0]));
}

void measure_place(BenchContext& context, const std::string& name, const KvCreator& creator,
                   const std::function<std::unique_ptr<MediumReader>(std::int64_t bytes)>& medium) {
  const std::string missing = missing_library(creator);
  if (!missing.empty()) {
    context.report().say(fmt::format("store {}: not built: {}", name, missing));
    return;
  }
  const std::int64_t all = kKeysOfStep * (context.command().quick ? 4 : 64);
  TableSet<Cpu> tables(context.communicator());
  Table<Cpu>& table = tables.create(table_options(context.dim(), creator));
  table.clear(context.stream());
  fill(tables, context.stream(), all);
  if (medium != nullptr) {
    Store& store = table.stored()->store();
    compare_reads(context, name, store, table.partitioner(),
                  *medium(static_cast<std::int64_t>(store.layout().bytes())), all);
  }
  show_steps(context, name, tables, all);
  table.clear(context.stream());
}

}  // namespace

void measure_store(BenchContext& context) {
  if (context.communicator().size() > 1) {
    context.report().say("store: the stores of one rank; skipped on several");
    return;
  }
  const Place place(context.command().scratch);
  const std::int64_t all = kKeysOfStep * (context.command().quick ? 4 : 64);
  measure_place(context, "host", HostRows{}, nullptr);
  const RocksDbRows disk{place.path("rows")};
  measure_place(context, "rocksdb", disk, [&](std::int64_t bytes) {
    return rocksdb_reader(place.path("alone"), all, bytes);
  });
  measure_place(context, "tiered", TieredRows{32 << 20, RocksDbRows{place.path("slow")}}, nullptr);
  if (context.command().redis.empty()) {
    context.report().say("store redis: skipped; --redis HOST:PORT or --redis SOCKET measures one");
    return;
  }
  const RedisRows server = redis_at(context.command().redis);
  measure_place(context, "redis", server,
                [&](std::int64_t bytes) { return redis_reader(server, all, bytes); });
}

}  // namespace keyshard
