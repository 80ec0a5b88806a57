// Tables on one rank with a device against the same tables on a CPU: one program for both, whose
// every look at a table must give the same bits, key by key.
#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <memory>
#include <thread>

#include "embedding/rows/restrict.hpp"
#include "embedding/rows/row_stages.hpp"
#include "embedding/rows/table_set.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "tests/sim/one_rank.hpp"
#include "tests/sim/sim_test.hpp"
#include "tests/support/lanes.hpp"
#include "tests/support/own_rules.hpp"

namespace keyshard {
namespace {

using testing::for_seeds;
using TableOfDevice = testing::SimTest;

using Bytes = std::vector<unsigned char>;
using Content = std::map<Key, Bytes>;  // values, states and status of every row

/// A table of some dim, value dtype and optimizer; what else it does follows from its number.
TableOptions options_of(std::size_t number, const Optimizer& optimizer) {
  TableOptions options;
  options.name = "table" + std::to_string(number);
  options.seed = number;
  options.value_dtype = static_cast<ValueDtype>(number / 3 % 3);
  options.partitioner = number % 3 == 1 ? "modulo" : "hash";
  options.missing = number % 3 == 2 ? Missing::zeros : Missing::initial;
  options.init_capacity = number % 5 == 0 ? 500 : 0;
  options.admit_after = number == 4 ? 2 : 0;
  options.admit_probability = number == 5 ? 0.5 : 1;
  options.bp_v2 = number == 6;
  if (number % 4 < 2) {
    options.restrict_policy = number % 4 == 0 ? RestrictPolicy(Frequency{}) : Timestamp{};
    options.max_rows = 60;
    options.restrict_every = 7;
  }
  const auto dim = static_cast<std::int64_t>(1 + 5 * (number % 8));
  const Regularization counts{.l2 = 0.1f, .l2_per_occurrence = true, .weight_decay = 0.01f};
  options.groups = {{.name = "values",
                     .dim = dim,
                     .initializer = Normal{},
                     .constant = {},
                     .optimizer = optimizer,
                     .regularization = counts,
                     .max_norm = number == 7 ? 0.2 : 0}};
  if (number == 8) {
    const std::vector<float> constant = testing::random_floats(dim, 3);
    options.groups[0].constant.assign(constant.begin(), constant.end());
  }
  if (number % 2 == 1) {
    options.groups.push_back({.name = "linear",
                              .dim = 2,
                              .initializer = Uniform{},
                              .constant = {},
                              .optimizer = Ftrl{},
                              .regularization = {}});
  }
  return options;
}

/// The keys of a table in a step, distinct; those by modulo crowd in few shards.
std::vector<Key> keys_of(std::size_t number, std::uint64_t step) {
  std::vector<Key> keys{0, ~Key{0}, Key{1} << 63};
  for (std::uint64_t i = 0; i < (number == 2 ? 0 : 25 + 2 * number); ++i) {
    const Key drawn = mix64(mix64(step + 100 * number) + i) % (i % 2 == 0 ? 20 : 300);
    keys.push_back((drawn + 1) * kShards + drawn % 3);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  keys.resize(number == 2 ? 0 : keys.size());
  return keys;
}

/// All rows of a table.
template <Backend B>
Content content_of(Stream<B>& stream, Table<B>& table) {
  Buffer<Key, B> listed(stream, table.size());
  Buffer<RowId, B> listed_rows(stream, table.size());
  list_keys(stream, table.index(), listed.data(), listed_rows.data());
  const std::vector<Key> keys = to_host(stream, listed);
  const std::vector<RowId> rows = to_host(stream, listed_rows);
  Content all;
  for (const RowColumn& column : table.columns()) {
    const auto bytes = static_cast<std::size_t>(column.width * value_bytes(column.dtype));
    Bytes out(keys.size() * bytes);
    table.copy_column(rows, column, out.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto from = out.begin() + static_cast<std::ptrdiff_t>(i * bytes);
      Bytes& row = all[keys[i]];
      row.insert(row.end(), from, from + static_cast<std::ptrdiff_t>(bytes));
    }
  }
  return all;
}

/// Memory of the gradients of a call.
template <Backend B>
struct CallMemory {
  Buffer<Key, B> keys;
  Buffer<RowId, B> rows;
  Buffer<float, B> values;
  Buffer<std::uint32_t, B> occurrences;
};

/// The tables of all optimizers, and what a program has seen of them.
template <Backend B>
struct Job {
  Stream<B>& stream;
  TableSet<B> tables;
  std::vector<Bytes> seen{};

  Job(Stream<B>& on, Communicator<B>& communicator) : stream(on), tables(communicator) {
    std::size_t number = 0;
    testing::for_alternatives<BuiltInOptimizer>(
        [&](auto optimizer) { tables.create(options_of(number++, optimizer)); });
  }

  template <class T>
  void see(const std::vector<T>& values) {
    const auto* first = reinterpret_cast<const unsigned char*>(values.data());
    seen.emplace_back(first, first + values.size() * sizeof(T));
  }

  std::vector<Table<B>*> all() const {
    std::vector<Table<B>*> list;
    for (const auto& table : tables.tables()) {
      list.push_back(table.get());
    }
    return list;
  }

  /// Reads the keys of a step from all tables together; returns their rows.
  Buffer<RowId, B> read(std::uint64_t step) {
    std::vector<Key> keys;
    std::vector<std::int64_t> starts{0};
    for (std::size_t t = 0; t < tables.tables().size(); ++t) {
      const std::vector<Key> own = keys_of(t, step);
      keys.insert(keys.end(), own.begin(), own.end());
      starts.push_back(std::ssize(keys));
    }
    const std::vector<Table<B>*> list = all();
    const TableRefs<B> refs(stream, Span<Table<B>* const>(list));
    const Buffer<Key, B> on_device = to_device(stream, keys);
    Buffer<RowId, B> rows(stream, on_device.size());
    see(find_rows(stream, refs, {on_device.data(), starts}, rows.data()));
    Buffer<float, B> values(stream, value_bases(refs, Span<const std::int64_t>(starts)).back());
    for (const bool inference : {false, true}) {
      read_rows(stream, refs, {on_device.data(), starts}, rows.data(), inference, values.data());
      see(to_host(stream, values));
    }
    return rows;
  }

  /// Gives table t gradients of a call with the keys of a step from number `first` on.
  void add(std::size_t t, std::uint64_t step, std::size_t first) {
    Table<B>& table = *tables.tables()[t];
    std::vector<Key> keys = keys_of(t, step);
    keys.erase(keys.begin(),
               keys.begin() + static_cast<std::ptrdiff_t>(std::min(first, keys.size())));
    const auto n = std::ssize(keys);
    const auto memory = std::make_shared<CallMemory<B>>();
    memory->keys = to_device(stream, keys);
    memory->rows = {stream, n};
    memory->values = to_device(stream, testing::random_floats(n * table.layout().dim,
                                                              static_cast<unsigned>(step + first)));
    memory->occurrences = to_device(
        stream, std::vector<std::uint32_t>(keys.size(), static_cast<std::uint32_t>(1 + step % 3)));
    table.find(stream, std::as_const(memory->keys).span(), memory->rows.data());
    table.add({.size = n,
               .keys = memory->keys.data(),
               .rows = memory->rows.data(),
               .values = memory->values.data(),
               .occurrences = t % 2 == 0 ? memory->occurrences.data() : nullptr,
               .steps = table.steps(),
               .keep = {memory}});
  }

  /// Table t makes a step with t % 3 calls.
  void train(std::uint64_t step) {
    for (std::size_t t = 0; t < tables.tables().size(); ++t) {
      for (std::size_t call = 0; call < t % 3 + (t == 3 ? 1 : 0); ++call) {
        add(t, step, call * 4);
      }
    }
    tables.apply(stream, {.learning_rate_scale = 0.5f, .valid_samples = 8});
  }

  /// Looks at the contents of all tables and at what they have counted.
  void look() {
    for (const auto& table : tables.tables()) {
      for (const auto& [key, row] : content_of(stream, *table)) {
        see(std::vector<Key>{key});
        see(row);
      }
      see(std::vector<std::int64_t>{table->size(), table->removed(), table->dropped()});
    }
  }

  /// Looks at the changes of a table of which only the first shards have keys.
  void look_at_changes(std::size_t t) {
    for (std::int64_t shard = 0; shard < 4; ++shard) {
      const ShardChanges changes = tables.tables()[t]->changes(shard);
      see(changes.changed);
      see(changes.removed);
    }
  }
};

/// 20 steps in which tables grow and are restricted, with changes from step 12 on.
template <Backend B>
std::vector<Bytes> trained(Stream<B>& stream, Communicator<B>& communicator) {
  Job<B> job(stream, communicator);
  for (std::uint64_t step = 1; step <= 20; ++step) {
    if (step == 12) {
      job.look();
      job.tables.mark_changes(stream);
    }
    job.read(step);
    job.train(step);
  }
  for (const auto& table : job.tables.tables()) {
    if (has_status(table->options().restrict_policy)) {
      restrict_rows(stream, communicator, *table, 30, 0);
    }
  }
  job.look();
  for (const std::size_t t : {1, 4, 10, 13}) {
    job.look_at_changes(t);
  }
  restrict_rows(stream, communicator, *job.tables.tables()[0], 0, 0);
  job.tables.tables()[1]->clear(stream);
  job.train(21);
  job.look();
  return std::move(job.seen);
}

/// The part of what was seen that differs.
void expect_same(const std::vector<Bytes>& found, const std::vector<Bytes>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  const auto [at, other] = std::mismatch(found.begin(), found.end(), expected.begin());
  EXPECT_TRUE(at == found.end()) << "look " << at - found.begin() << " of " << found.size();
}

template <class Program>
std::vector<Bytes> on_cpu(const Program& program) {
  Stream<Cpu> stream;
  const auto communicators = make_thread_communicators(1);
  return program(stream, *communicators.front());
}

template <class Program>
std::vector<Bytes> on_device(const Program& program) {
  Stream<Cuda> stream(0);
  testing::OneRank communicator;
  return program(stream, static_cast<Communicator<Cuda>&>(communicator));
}

TEST_F(TableOfDevice, TrainsAsTheTableOfACpu) {
  const auto program = [](auto& stream, auto& communicator) {
    return trained(stream, communicator);
  };
  const std::vector<Bytes> expected = on_cpu(program);
  for_seeds(1, [&](int) { expect_same(on_device(program), expected); });
}

/// Makes, assigns and writes back rows of a table, some of them more than once.
template <Backend B>
void write_rows(Job<B>& job, std::size_t t) {
  Stream<B>& stream = job.stream;
  Table<B>& table = *job.tables.tables()[t];
  std::vector<Key> keys = keys_of(t, 1);
  const auto n = std::ssize(keys), floats = n * table.layout().dim;
  const Buffer<Key, B> once = to_device(stream, keys);
  keys.insert(keys.end(), keys.begin(), keys.begin() + n / 2);
  const Buffer<Key, B> twice = to_device(stream, keys);
  Buffer<RowId, B> rows(stream, twice.size()), read(stream, n);
  table.find_or_insert(stream, twice.span().first(5), rows.data());
  table.find(stream, once.span(), read.data());
  const Buffer<float, B> old = to_device(stream, testing::random_floats(floats, 1));
  const Buffer<float, B> updated = to_device(stream, testing::random_floats(floats, 2));
  table.write_back(stream, {once.span(), read.data(), old.data(), updated.data()});
  table.find_or_insert(stream, twice.span(), rows.data());
  const std::vector<RowId> found = to_host(stream, rows);
  EXPECT_TRUE(std::equal(found.begin() + n, found.end(), found.begin())) << "a key with two rows";
  table.assign(stream, once.span().first(n / 2), updated.data());
}

TEST_F(TableOfDevice, MakesAndWritesRowsAsTheTableOfACpu) {
  const auto program = [](auto& stream, auto& communicator) {
    Job job(stream, communicator);
    for (const std::size_t t : {0, 1, 3, 6, 7, 8, 11}) {
      write_rows(job, t);
    }
    job.look();
    return std::move(job.seen);
  };
  const std::vector<Bytes> expected = on_cpu(program);
  for_seeds(2, [&](int) { expect_same(on_device(program), expected); });
}

TEST_F(TableOfDevice, AGradientThatIsNotFiniteChangesNothing) {
  const auto program = [](auto& stream, auto& communicator) {
    Job job(stream, communicator);
    job.train(1);
    job.look();
    job.add(7, 2, 0);
    const auto& call = job.tables.tables()[7]->gradients().front();
    const float infinite = std::numeric_limits<float>::infinity();
    copy_to_device(stream, &infinite, 1, call.values + 40);
    std::string text;
    try {
      job.tables.apply(stream, {});
    } catch (const Error& error) {
      text = error.text();
    }
    job.see(std::vector<char>(text.begin(), text.end()));
    job.look();
    return std::move(job.seen);
  };
  const std::vector<Bytes> expected = on_cpu(program);
  expect_same(on_device(program), expected);
}

/// Saves the shards of one table and loads them into another, which may be on another device.
template <Backend From, Backend To>
void load(Table<From>& saved, Table<To>& loaded, std::int64_t first, std::int64_t step) {
  for (std::int64_t shard = first; shard < kShards; shard += step) {
    const ShardRows rows = saved.shard_rows(shard);
    std::vector<Bytes> columns;
    std::vector<const void*> pointers;
    for (const RowColumn& column : saved.columns()) {
      const auto bytes = static_cast<std::size_t>(column.width * value_bytes(column.dtype));
      columns.emplace_back(rows.keys.size() * bytes);
      saved.copy_column(rows.rows, column, columns.back().data());
    }
    for (const Bytes& column : columns) {
      pointers.push_back(column.data());
    }
    loaded.load_shard(shard, rows.keys, pointers);
    if (saved.sightings() != nullptr) {
      const SightedKeys waiting = saved.sightings()->shard_keys(shard);
      loaded.sightings()->load_shard(shard, waiting.keys, waiting.counts.data());
    }
  }
}

TEST_F(TableOfDevice, ShardsAreSavedAndLoadedOnEitherDevice) {
  Stream<Cuda> stream(0);
  Stream<Cpu> host;
  testing::OneRank communicator;
  Job<Cuda> saved(stream, communicator);
  for (std::uint64_t step = 1; step <= 3; ++step) {
    saved.train(step);
  }
  for (const std::size_t t : {1, 3, 4, 8}) {
    Table<Cuda>& from = *saved.tables.tables()[t];
    Table<Cpu> on_host(from.options(), from.shards());
    Table<Cuda> again(from.options(), from.shards());
    load(from, on_host, 0, 1);
    std::thread other([&] { load(on_host, again, 1, 2); });
    load(on_host, again, 0, 2);
    other.join();
    const Content expected = content_of(stream, from);
    EXPECT_FALSE(expected.empty());
    EXPECT_EQ(content_of(host, on_host), expected);
    EXPECT_EQ(content_of(stream, again), expected);
    for (std::int64_t shard = 0; t == 4 && shard < kShards; ++shard) {
      EXPECT_EQ(again.sightings()->shard_keys(shard).counts,
                from.sightings()->shard_keys(shard).counts);
    }
  }
}

TEST_F(TableOfDevice, RulesOfAProgramAreRefused) {
  TableOptions options = options_of(0, Sgd{});
  options.partitioner = own_partitioner(testing::ByEight{});
  try {
    const Table<Cuda> table(options, {0, kShards});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::not_built);
  }
}

}  // namespace
}  // namespace keyshard
