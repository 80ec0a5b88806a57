#include "embedding/stores/kv_creator.hpp"

#include <optional>
#include <type_traits>

#include "embedding/rules/family.hpp"
#include "embedding/rules/own_rules.hpp"
#include "embedding/stores/make_store.hpp"
#include "embedding/stores/own_store.hpp"
#include "runtime/error.hpp"
#include "runtime/visit.hpp"

namespace keyshard {
namespace {

/// What a configuration can name without a program.
using BuiltInRows = std::variant<HostRows, DeviceRows, RocksDbRows, RedisRows, TieredRows>;
using BuiltInSlowRows = std::variant<RocksDbRows, RedisRows, HostRows>;

/// The names of a family, then those of the stores of a program.
template <class Family>
FamilyNames with_own(const char* kind, const OwnRules& own) {
  std::vector<std::string> names;
  for (const auto& store : own.stores) {
    names.push_back(store->name);
  }
  return FamilyNames{kind, names_of_rules<Family>()}.with(names);
}

constexpr KeyMeaning kStoreKeys[] = {
    {"type", "",
     "memory of the ranks, or of their GPUs, a RocksDB of each rank, a Redis server that jobs "
     "share, or memory in front of one of the two or of the memory of the host"},
    {"path", "path", "a folder on local disk"},
    {"host", "", "a name, an address, or the path of a Unix socket"},
    {"port", "", "of the server; of no use with a socket"},
    {"db", "", "number of the database of the server"},
    {"user", "", "of the server; empty: the default user"},
    {"password_env", "", "environment variable with the password; empty: none"},
    {"prefix", "", "of the names of all keys in the server"},
    {"timeout_ms", "ms", "for a connection, and for each answer"},
    {"fast_bytes", "bytes", "of memory on each rank"},
    {"slow", "", "the store behind memory"},
};

constexpr KeyTable kStore{
    "Stores", "Where the rows of a table live. docs/layers.md says what each store does.",
    kStoreKeys};

/// Reads a field of a store from a table of a configuration.
struct ReadField {
  Settings& settings;

  void operator()(const char* key, std::string& value) const { value = settings.text(key, value); }

  void operator()(const char* key, std::int64_t& value, std::int64_t least,
                  std::int64_t most) const {
    value = settings.integer(key, value, least, most);
  }
};

/// Writes a field of a store into a table.
struct WriteField {
  SettingValue::Table& table;

  void operator()(const char* key, const std::string& value) const {
    table.emplace_back(key, value_of(value));
  }

  void operator()(const char* key, std::int64_t value, std::int64_t, std::int64_t) const {
    table.emplace_back(key, value_of(value));
  }
};

/// Throws where a number of a store is out of its bounds.
struct CheckField {
  const std::string& owner;

  void operator()(const char*, const std::string&) const {}

  void operator()(const char* key, std::int64_t value, std::int64_t least,
                  std::int64_t most) const {
    require(value >= least && value <= most, Kind::invalid_argument,
            "{}: kv_creator: expected {} <= {} <= {}: found {}", owner, least, key, most, value);
  }
};

/// What is wrong with the texts of a store; empty where nothing is.
std::string problem_of(const RocksDbRows& rows) {
  return rows.path.empty() ? "rocksdb needs path, a folder on local disk" : "";
}

std::string problem_of(const RedisRows& rows) {
  if (rows.host.empty()) {
    return "redis needs host, a name, an address or the path of a Unix socket";
  }
  if (rows.prefix.empty()) {
    return "redis needs prefix, which begins the names of all keys in the server";
  }
  return rows.user.empty() || !rows.password_env.empty()
             ? ""
             : "redis needs password_env, the environment variable with the password, for its user";
}

std::string problem_of(const HostRows&) { return ""; }

std::string problem_of(const DeviceRows&) { return ""; }

std::string problem_of(const OwnStoreRows& rows) {
  return rows.store != nullptr && rows.store->open
             ? ""
             : "a store of the program needs a function that opens it (own_store)";
}

std::string problem_of(const TieredRows& rows) {
  if (rows.fast_bytes < kLeastFastBytes) {
    return fmt::format("tiered needs fast_bytes >= {}: found {}", kLeastFastBytes, rows.fast_bytes);
  }
  return visit_variant(rows.slow, [](const auto& slow) { return problem_of(slow); });
}

/// Whether a kind of rows has fields of its own.
template <class Rows>
inline constexpr bool kHasFields = requires(Rows& rows, ReadField field) {
  Rows::fields(rows, field);
};

template <class Rows>
void read_fields(Settings& settings, const OwnRules& own, Rows& rows);

/// The rows of a family that a configuration names; nothing where the name is wrong.
template <class BuiltIn, class Family>
std::optional<Family> read_rows(Settings& settings, const char* kind, const char* otherwise,
                                const OwnRules& own) {
  const std::optional<std::size_t> index =
      with_own<BuiltIn>(kind, own).read(settings, "type", otherwise);
  if (!index) {
    return std::nullopt;
  }
  constexpr std::size_t kBuiltIn = std::variant_size_v<BuiltIn>;
  Family result = OwnStoreRows{*index < kBuiltIn ? nullptr : own.stores[*index - kBuiltIn]};
  with_alternative<BuiltIn>(*index, [&](auto rows) {
    read_fields(settings, own, rows);
    result = rows;
  });
  settings.finish();
  return result;
}

template <class Rows>
void read_fields(Settings& settings, const OwnRules& own, Rows& rows) {
  if constexpr (std::is_same_v<Rows, TieredRows>) {
    rows.fast_bytes = settings.integer("fast_bytes", rows.fast_bytes, kLeastFastBytes);
    if (!settings.has("fast_bytes")) {
      settings.problem("fast_bytes", "tiered needs fast_bytes, the bytes of memory of each rank");
    }
    Settings slow = settings.table("slow");
    slow.describe(kStore);
    rows.slow = read_rows<BuiltInSlowRows, SlowRows>(slow, "a slow store", RocksDbRows::kName, own)
                    .value_or(rows.slow);
  } else if constexpr (kHasFields<Rows>) {
    Rows::fields(rows, ReadField{settings});
    const std::string problem = problem_of(rows);
    if (!problem.empty()) {
      settings.problem("", problem);
    }
  }
}

template <class Rows>
const char* name_of_rows(const Rows& rows) {
  if constexpr (std::is_same_v<Rows, OwnStoreRows>) {
    return *rows.name() == '\0' ? "unregistered" : rows.name();
  } else {
    return Rows::kName;
  }
}

template <class Rows>
SettingValue tree_of(const Rows& rows) {
  SettingValue::Table table{{"type", value_of(std::string(name_of_rows(rows)))}};
  if constexpr (std::is_same_v<Rows, TieredRows>) {
    table.emplace_back("fast_bytes", value_of(rows.fast_bytes));
    table.emplace_back("slow",
                       visit_variant(rows.slow, [](const auto& slow) { return tree_of(slow); }));
  } else if constexpr (kHasFields<Rows>) {
    Rows::fields(rows, WriteField{table});
  }
  return value_of(std::move(table));
}

template <class Rows>
void check_rows(const Rows& rows, const std::string& owner) {
  if constexpr (std::is_same_v<Rows, TieredRows>) {
    visit_variant(rows.slow, [&](const auto& slow) { check_rows(slow, owner); });
  } else if constexpr (kHasFields<Rows>) {
    Rows::fields(rows, CheckField{owner});
  }
  const std::string problem = problem_of(rows);
  require(problem.empty(), Kind::invalid_argument, "{}: kv_creator: {}", owner, problem);
}

}  // namespace

const char* OwnStoreRows::name() const { return store == nullptr ? "" : store->name.c_str(); }

const OwnStoreRows* own_store_rows(const KvCreator& creator) {
  const auto* tiered = std::get_if<TieredRows>(&creator);
  return tiered == nullptr ? std::get_if<OwnStoreRows>(&creator)
                           : std::get_if<OwnStoreRows>(&tiered->slow);
}

const char* name_of(const KvCreator& creator) {
  return visit_variant(creator, [](const auto& rows) { return name_of_rows(rows); });
}

KvCreator read_kv_creator(Settings settings, const OwnRules& own) {
  settings.describe(kStore);
  return read_rows<BuiltInRows, KvCreator>(settings, "a kv_creator", HostRows::kName, own)
      .value_or(KvCreator{});
}

SettingValue kv_creator_tree(const KvCreator& creator) {
  return visit_variant(creator, [](const auto& rows) { return tree_of(rows); });
}

void check(const KvCreator& creator, const std::string& owner) {
  visit_variant(creator, [&](const auto& rows) { check_rows(rows, owner); });
  const std::string missing = missing_library(creator);
  require(missing.empty(), Kind::not_built, "{}: kv_creator {} is not built: {}", owner,
          name_of(creator), missing);
}

}  // namespace keyshard
