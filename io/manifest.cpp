#include "io/manifest.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include "io/dataset_places.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

/// The largest count of rows, bytes or elements: sums of a few such counts do not overflow.
constexpr std::int64_t kMost = std::int64_t{1} << 48;

/// No table has more shards.
constexpr std::int64_t kShardLimit = 1024;

/// Numbers that take the room of a value of a tree.
constexpr std::int64_t kNumbersOfValue = 8;

/// The end of the text: the digest of all before it.
std::string tail_of(std::string_view body) {
  return fmt::format(",\n  \"digest\": \"{}\"\n}}\n", digest_of(body.data(), body.size()).hex());
}

SettingValue tree_of(const ColumnShape& column) {
  return value_of(SettingValue::Table{{"name", value_of(column.name)},
                                      {"type", value_of(std::string(name_of(column.type)))},
                                      {"width", value_of(column.width)}});
}

SettingValue tree_of(const ManifestTable& table) {
  // One long text per table: thousands of short ones take long to parse.
  std::string digests;
  for (const Digest128& digest : table.digests) {
    digests += digest.hex();
  }
  return value_of(SettingValue::Table{
      {"name", value_of(table.shape.name)},
      {"columns", list_of(table.shape.columns, [](const auto& c) { return tree_of(c); })},
      {"options", table.shape.options},
      {"shards", value_of(table.shards)},
      {"filled", value_of(table.filled)},
      {"rows", value_of(table.rows)},
      {"offsets", value_of(table.offsets)},
      {"owners", value_of(table.owners)},
      {"digests", value_of(std::move(digests))}});
}

SettingValue tree_of(const ManifestDense& dense) {
  return value_of(SettingValue::Table{{"name", value_of(dense.name)},
                                      {"type", value_of(std::string(name_of(dense.type)))},
                                      {"shape", value_of(dense.shape)},
                                      {"offset", value_of(dense.offset)},
                                      {"digest", value_of(dense.digest.hex())}});
}

SettingValue tree_of(const ManifestFile& file) {
  SettingValue::Table members{{"name", value_of(file.name)},
                              {"bytes", value_of(file.bytes)},
                              {"digest", value_of(file.digest.hex())}};
  if (file.rest) {
    members.emplace_back("rest", value_of(file.rest->hex()));
  }
  return value_of(std::move(members));
}

/// A count of rows, bytes or elements.
std::int64_t count_in(const ValueReader& reader) { return reader.integer(0, kMost); }

std::vector<std::int64_t> counts_in(const ValueReader& reader) { return reader.integers(0, kMost); }

ElementType type_in(const ValueReader& reader) {
  return element_type_of(reader.text(), reader.path());
}

/// Leaves out the shards without rows, which format 1 lists.
void leave_out_empty(ManifestTable& table) {
  const std::size_t columns = table.shape.columns.size() + 1;
  table.shards = std::ssize(table.rows);
  const std::vector<std::int64_t> rows = std::exchange(table.rows, {});
  const std::vector<Digest128> digests = std::exchange(table.digests, {});
  for (std::size_t shard = 0; shard < rows.size(); ++shard) {
    if (rows[shard] > 0) {
      table.filled.push_back(static_cast<std::int64_t>(shard));
      table.rows.push_back(rows[shard]);
      const auto begin = digests.begin() + static_cast<std::ptrdiff_t>(shard * columns);
      table.digests.insert(table.digests.end(), begin,
                           begin + static_cast<std::ptrdiff_t>(columns));
    }
  }
}

/// Takes the numbers of the shards that have rows.
void read_filled(const ValueReader& node, ManifestTable& table) {
  table.shards = node.at("shards").integer(0, kShardLimit);
  table.filled = node.at("filled").integers(0, table.shards - 1);
  require(table.filled.size() == table.rows.size(), Kind::corrupt_data,
          "{}: expected {} shards with rows: found {}", node.path(), table.rows.size(),
          table.filled.size());
  const auto falls =
      std::adjacent_find(table.filled.begin(), table.filled.end(), std::greater_equal<>());
  require(falls == table.filled.end(), Kind::corrupt_data,
          "{}: expected ascending numbers of shards: found {} and {}", node.path(),
          falls == table.filled.end() ? 0 : falls[0], falls == table.filled.end() ? 0 : falls[1]);
}

ManifestTable parse_table(const ValueReader& node, const Manifest& manifest) {
  ManifestTable table;
  table.shape.name = node.at("name").text();
  table.shape.options = node.at("options").value();
  for (const ValueReader& column : node.at("columns").entries()) {
    table.shape.columns.push_back(
        {column.at("name").text(), type_in(column.at("type")), count_in(column.at("width"))});
  }
  const std::size_t columns = table.shape.columns.size() + 1;
  table.rows = counts_in(node.at("rows"));
  table.digests = node.at("digests").digests();
  require(table.digests.size() == table.rows.size() * columns, Kind::corrupt_data,
          "{}: expected {} digests: found {}", node.path(), table.rows.size() * columns,
          table.digests.size());
  if (manifest.format == 1) {
    leave_out_empty(table);
  } else {
    read_filled(node, table);
  }
  if (manifest.format >= kPlacedFormat) {
    table.offsets = counts_in(node.at("offsets"));
    const std::size_t expected = static_cast<std::size_t>(manifest.ranks) * columns;
    require(table.offsets.size() == expected, Kind::corrupt_data,
            "{}: expected {} offsets: found {}", node.path(), expected, table.offsets.size());
    table.owners = counts_in(node.at("owners"));
    require(ShardOwners::valid(manifest.ranks, table.owners), Kind::corrupt_data,
            "{}: expected owners among the ranks 0 to {}, each once: found {}", node.path(),
            manifest.ranks - 1, joined(table.owners, ", "));
  }
  return table;
}

ManifestDense parse_dense(const ValueReader& node, const Manifest& manifest) {
  ManifestDense dense;
  dense.name = node.at("name").text();
  dense.type = type_in(node.at("type"));
  dense.shape = counts_in(node.at("shape"));
  dense.offset = manifest.format >= kPlacedFormat ? count_in(node.at("offset")) : 0;
  dense.digest = node.at("digest").digest();
  return dense;
}

ManifestFile parse_file(const ValueReader& node) {
  ManifestFile file{node.at("name").text(), count_in(node.at("bytes")), node.at("digest").digest()};
  if (member_of(node.value(), "rest") != nullptr) {
    file.rest = node.at("rest").digest();
  }
  return file;
}

/// Refuses a manifest whose files are not those of its ranks and checkpoint.h5, each once.
void require_file_set(const Manifest& manifest, const std::string& place) {
  require(static_cast<std::int64_t>(manifest.files.size()) == manifest.ranks + 1,
          Kind::corrupt_data, "{}: expected {} files of {} ranks: found {}", place,
          manifest.ranks + 1, manifest.ranks, manifest.files.size());
  std::vector<std::string> expected{kOverviewName};
  for (std::int64_t rank = 0; rank < manifest.ranks; ++rank) {
    expected.push_back(rank_file_name(rank, manifest.ranks));
  }
  std::vector<std::string> found;
  for (const ManifestFile& file : manifest.files) {
    found.push_back(file.name);
  }
  std::sort(found.begin(), found.end());
  require(found == expected, Kind::corrupt_data, "{}: expected the files {}: found {}", place,
          joined(expected, ", "), joined(found, ", "));
}

/// The values of a tree.
std::int64_t count_of(const SettingValue& tree) {
  std::int64_t count = 1;
  if (const auto* list = std::get_if<SettingValue::Array>(&tree.value)) {
    for (const SettingValue& entry : *list) {
      count += count_of(entry);
    }
  } else if (const auto* table = std::get_if<SettingValue::Table>(&tree.value)) {
    for (const auto& member : *table) {
      count += count_of(member.second);
    }
  }
  return count;
}

/// Takes a member out of a table, without a copy of what may be large. Throws Error{corrupt_data}
/// with `place` where there is none.
SettingValue take_member(SettingValue& table, std::string_view name, const std::string& place) {
  ValueReader(table, place).at(name);  // is there
  auto& members = std::get<SettingValue::Table>(table.value);
  return std::move(std::find_if(members.begin(), members.end(), [&](const auto& member) {
                     return member.first == name;
                   })->second);
}

/// Takes a manifest from its text: files, dense parts and tables one by one, as the parser reaches
/// their ends, and the rest at the end.
class ManifestParts {
 public:
  explicit ManifestParts(std::string place) : place_(std::move(place)) {}

  /// Takes an entry of the last member of `root`; returns about how many values it keeps.
  std::int64_t take(const SettingValue& root, const SettingValue& entry) {
    read_head({root, place_});
    const std::string& list = std::get<SettingValue::Table>(root.value).back().first;
    entries_ = list == list_ ? entries_ + 1 : 0;
    list_ = list;
    const ValueReader node(entry, fmt::format("{}.{}[{}]", place_, list, entries_));
    if (list == "files") {
      manifest_.files.push_back(parse_file(node));
      return 1;
    }
    if (list == "dense") {
      const ManifestDense& dense = manifest_.dense.emplace_back(parse_dense(node, manifest_));
      return 1 + std::ssize(dense.shape) / kNumbersOfValue;
    }
    if (manifest_.tables.empty()) {
      require_file_set(manifest_, place_);  // so the number of ranks is one that a text can have
    }
    const ManifestTable& table = manifest_.tables.emplace_back(parse_table(node, manifest_));
    return count_of(table.shape.options) + std::ssize(table.offsets) / kNumbersOfValue;
  }

  /// The manifest, after all entries of its lists.
  Manifest finish(SettingValue tree) {
    const ValueReader root(tree, place_);
    read_head(root);
    for (const char* list : {"files", "dense", "tables"}) {
      root.at(list).entries(0);  // is there, and a list; its entries were taken
    }
    require_file_set(manifest_, place_);
    require_places(manifest_, place_);
    const Digest128 named = root.at("state_digest").digest(), found = manifest_.state_digest();
    require(named == found, Kind::corrupt_data, "{}: expected the state digest {}: found {}",
            place_, named.hex(), found.hex());
    manifest_.config = take_member(tree, "config", place_);
    manifest_.state = take_member(tree, "state", place_);
    return std::move(manifest_);
  }

 private:
  /// Reads, once, what the entries of lists are read by.
  void read_head(const ValueReader& root) {
    if (has_head_) {
      return;
    }
    manifest_.format = count_in(root.at("format"));
    require(manifest_.format >= 1 && manifest_.format <= kCheckpointFormat, Kind::corrupt_data,
            "{}: expected format version 1 to {}, which this version of keyshard reads: found {}",
            place_, kCheckpointFormat, manifest_.format);
    manifest_.step = count_in(root.at("step"));
    manifest_.ranks = root.at("ranks").integer(1, kMost);
    has_head_ = true;
  }

  std::string place_;
  Manifest manifest_;
  bool has_head_ = false;
  std::string list_;  // of the entry that was taken last, and how many of its list were before it
  std::int64_t entries_ = 0;
};

}  // namespace

std::int64_t ManifestTable::rows_in(Range range) const {
  const auto place_of = [this](std::int64_t shard) {
    return rows.begin() + (std::lower_bound(filled.begin(), filled.end(), shard) - filled.begin());
  };
  return std::accumulate(place_of(range.begin), place_of(range.end), std::int64_t{0});
}

std::vector<std::int64_t> ManifestTable::rows_of(Range range) const {
  std::vector<std::int64_t> result(static_cast<std::size_t>(range.size()));
  for (std::size_t i = 0; i < filled.size(); ++i) {
    if (range.contains(filled[i])) {
      result[static_cast<std::size_t>(filled[i] - range.begin)] = rows[i];
    }
  }
  return result;
}

const Digest128* ManifestTable::digests_of(std::int64_t shard) const {
  const auto place = std::lower_bound(filled.begin(), filled.end(), shard) - filled.begin();
  return digests.data() + static_cast<std::size_t>(place) * (shape.columns.size() + 1);
}

Span<const std::int64_t> ManifestTable::offsets_of(std::int64_t rank) const {
  const auto columns = std::ssize(shape.columns) + 1;
  return offsets.empty() ? Span<const std::int64_t>()
                         : Span<const std::int64_t>(offsets).subspan(rank * columns, columns);
}

std::int64_t ManifestDense::bytes() const {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    return 0;  // whatever the other dimensions are
  }
  return std::accumulate(shape.begin(), shape.end(), size_of(type), std::multiplies<>());
}

const ManifestTable& Manifest::table(const std::string& name, const std::string& place) const {
  for (const ManifestTable& candidate : tables) {
    if (candidate.shape.name == name) {
      return candidate;
    }
  }
  std::vector<std::string> names;
  for (const ManifestTable& candidate : tables) {
    names.push_back(candidate.shape.name);
  }
  fail(Kind::corrupt_data, "{}: expected a table {}: found {}", place, name, joined(names, ", "));
}

Digest128 Manifest::state_digest() const {
  StateDigest whole;
  for (const ManifestTable& table : tables) {
    std::vector<std::string> names{"keys"};
    for (const ColumnShape& column : table.shape.columns) {
      names.push_back(column.name);
    }
    whole.begin_table(table.shape.name, names);
    // Not all at once: a small text may list thousands of columns and no rows.
    const std::vector<Digest128> empty(names.size(), digest_of("", 0));
    const auto columns = std::ssize(names);
    std::int64_t place = 0;
    for (std::int64_t shard = 0; shard < table.shards; ++shard) {
      const bool has_rows = place < std::ssize(table.filled) &&
                            table.filled[static_cast<std::size_t>(place)] == shard;
      whole.add_shards(
          has_rows ? Span<const Digest128>(table.digests).subspan(place++ * columns, columns)
                   : Span<const Digest128>(empty));
    }
  }
  NamedDigests named;
  for (const ManifestDense& part : dense) {
    named.emplace_back(part.name, part.digest);
  }
  whole.add(named);
  return whole.result(step);
}

std::string rank_file_name(std::int64_t rank, std::int64_t ranks) {
  return fmt::format("rank-{:04}-of-{:04}.h5", rank, ranks);
}

std::string manifest_text(const Manifest& manifest) {
  std::string text = "{";
  const auto add = [&](const char* name, const std::string& value) {
    text += fmt::format("{}\n  \"{}\": {}", text.size() > 1 ? "," : "", name, value);
  };
  // Entry by entry: the trees of thousands of tables would take ten times the text.
  const auto list_text = [](const auto& entries) {
    std::string list;
    for (const auto& entry : entries) {
      list += (list.empty() ? "[" : ",") + json_text(tree_of(entry));
    }
    return list.empty() ? "[]" : list + "]";
  };
  add("format", std::to_string(kCheckpointFormat));
  add("step", std::to_string(manifest.step));
  add("ranks", std::to_string(manifest.ranks));
  add("state_digest", json_text(value_of(manifest.state_digest().hex())));
  add("state", json_text(manifest.state));
  add("config", json_text(manifest.config));
  add("files", list_text(manifest.files));
  add("dense", list_text(manifest.dense));
  add("tables", list_text(manifest.tables));
  return text += tail_of(text);
}

Manifest parse_manifest(const std::string& text, const std::string& place,
                        std::int64_t most_values) {
  const std::size_t tail = tail_of("").size();
  require(text.size() >= tail &&
              text.ends_with(tail_of(std::string_view(text).substr(0, text.size() - tail))),
          Kind::corrupt_data,
          "{}: expected a manifest that ends with its digest: found {} bytes "
          "that do not",
          place, text.size());
  ManifestParts manifest(place);
  JsonParts parts;
  parts.lists = {"files", "dense", "tables"};
  parts.take = [&](const SettingValue& root, const SettingValue& entry) {
    return manifest.take(root, entry);
  };
  parts.most_values = most_values;
  return manifest.finish(parse_json_in_parts(text, place, parts));
}

}  // namespace keyshard
