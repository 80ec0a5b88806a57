#include "io/manifest.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"
#include "runtime/shard_owners.hpp"

namespace keyshard {
namespace {

/// The largest count of rows, bytes or elements: sums of a few such counts do not overflow.
constexpr std::int64_t kMost = std::int64_t{1} << 48;

/// No table has more shards.
constexpr std::int64_t kShardLimit = 1024;

/// The end of the text: the digest of all before it.
std::string tail_of(std::string_view body) {
  return fmt::format(",\n  \"digest\": \"{}\"\n}}\n", digest_of(body.data(), body.size()).hex());
}

SettingValue tree_of(const ColumnShape& column) {
  return value_of(SettingValue::Table{{"name", value_of(column.name)},
                                      {"type", value_of(std::string(name_of(column.type)))},
                                      {"width", value_of(column.width)}});
}

/// Shards without rows are left out: all of their digests are that of no bytes.
SettingValue tree_of(const ManifestTable& table, std::int64_t format) {
  // One long text per table: thousands of short ones take long to parse.
  std::string digests;
  std::vector<std::int64_t> filled, rows;
  const std::size_t columns = table.shape.columns.size() + 1;
  for (std::size_t i = 0; i < table.digests.size(); ++i) {
    digests += table.rows[i / columns] > 0 ? table.digests[i].hex() : "";
  }
  for (std::int64_t shard = 0; shard < table.shards(); ++shard) {
    const std::int64_t count = table.rows[static_cast<std::size_t>(shard)];
    if (count > 0) {
      filled.push_back(shard);
      rows.push_back(count);
    }
  }
  SettingValue::Table tree{
      {"name", value_of(table.shape.name)},
      {"columns", list_of(table.shape.columns, [](const auto& c) { return tree_of(c); })},
      {"options", table.shape.options},
      {"shards", value_of(table.shards())},
      {"filled", value_of(filled)},
      {"rows", value_of(rows)},
      {"digests", value_of(std::move(digests))}};
  if (format == kOwnersFormat) {
    tree.emplace_back("owners", value_of(table.owners));
  }
  return value_of(std::move(tree));
}

SettingValue tree_of(const ManifestDense& dense) {
  return value_of(SettingValue::Table{{"name", value_of(dense.name)},
                                      {"type", value_of(std::string(name_of(dense.type)))},
                                      {"shape", value_of(dense.shape)},
                                      {"digest", value_of(dense.digest.hex())}});
}

SettingValue tree_of(const ManifestFile& file) {
  return value_of(SettingValue::Table{{"name", value_of(file.name)},
                                      {"bytes", value_of(file.bytes)},
                                      {"digest", value_of(file.digest.hex())}});
}

/// A count of rows, bytes or elements.
std::int64_t count_in(const ValueReader& reader) { return reader.integer(0, kMost); }

std::vector<std::int64_t> counts_in(const ValueReader& reader) {
  std::vector<std::int64_t> counts;
  for (const ValueReader& entry : reader.entries()) {
    counts.push_back(count_in(entry));
  }
  return counts;
}

ElementType type_in(const ValueReader& reader) {
  return element_type_of(reader.text(), reader.path());
}

/// Gives the shards that have rows, as the manifest lists them, their places among all shards.
void spread_filled(const ValueReader& node, ManifestTable& table) {
  const std::int64_t shards = node.at("shards").integer(0, kShardLimit);
  const auto count = static_cast<std::int64_t>(table.rows.size());
  const std::vector<ValueReader> filled = node.at("filled").entries(count);
  const std::size_t columns = table.shape.columns.size() + 1;
  const std::vector<std::int64_t> rows =
      std::exchange(table.rows, std::vector<std::int64_t>(static_cast<std::size_t>(shards)));
  const std::vector<Digest128> digests = std::exchange(
      table.digests,
      std::vector<Digest128>(static_cast<std::size_t>(shards) * columns, digest_of("", 0)));
  std::int64_t least = 0;
  for (std::size_t i = 0; i < filled.size(); ++i) {
    const auto shard = static_cast<std::size_t>(filled[i].integer(least, shards - 1));
    least = static_cast<std::int64_t>(shard) + 1;
    table.rows[shard] = rows[i];
    std::copy_n(digests.begin() + static_cast<std::ptrdiff_t>(i * columns), columns,
                table.digests.begin() + static_cast<std::ptrdiff_t>(shard * columns));
  }
}

ManifestTable parse_table(const ValueReader& node, std::int64_t ranks, std::int64_t format) {
  ManifestTable table;
  table.shape.name = node.at("name").text();
  table.shape.options = node.at("options").value();
  for (const ValueReader& column : node.at("columns").entries()) {
    table.shape.columns.push_back(
        {column.at("name").text(), type_in(column.at("type")), count_in(column.at("width"))});
  }
  table.rows = counts_in(node.at("rows"));
  table.digests = node.at("digests").digests();
  const std::size_t expected = table.rows.size() * (table.shape.columns.size() + 1);
  require(table.digests.size() == expected, Kind::corrupt_data, "{}: expected {} digests: found {}",
          node.path(), expected, table.digests.size());
  if (format > 1) {
    spread_filled(node, table);
  }
  if (format == kOwnersFormat) {
    table.owners = counts_in(node.at("owners"));
    require(ShardOwners::valid(ranks, table.owners), Kind::corrupt_data,
            "{}: expected owners among the ranks 0 to {}, each once: found {}", node.path(),
            ranks - 1, joined(table.owners, ", "));
  }
  return table;
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

Manifest parse_tree(const ValueReader& root) {
  const std::int64_t format = count_in(root.at("format"));
  require(format >= 1 && format <= kOwnersFormat, Kind::corrupt_data,
          "{}: expected format version 1 to {}, which this version of keyshard reads: found {}",
          root.path(), kOwnersFormat, format);
  Manifest manifest;
  manifest.step = count_in(root.at("step"));
  manifest.ranks = count_in(root.at("ranks"));
  manifest.config = root.at("config").value();
  manifest.state = root.at("state").value();
  for (const ValueReader& node : root.at("tables").entries()) {
    manifest.tables.push_back(parse_table(node, manifest.ranks, format));
  }
  for (const ValueReader& node : root.at("dense").entries()) {
    manifest.dense.push_back({node.at("name").text(), type_in(node.at("type")),
                              counts_in(node.at("shape")), node.at("digest").digest()});
  }
  for (const ValueReader& node : root.at("files").entries()) {
    manifest.files.push_back(
        {node.at("name").text(), count_in(node.at("bytes")), node.at("digest").digest()});
  }
  require_file_set(manifest, root.path());
  return manifest;
}

}  // namespace

std::int64_t ManifestTable::rows_in(Range shards) const {
  return std::accumulate(rows.begin() + shards.begin, rows.begin() + shards.end, std::int64_t{0});
}

const Digest128* ManifestTable::digests_of(std::int64_t shard) const {
  return digests.data() + static_cast<std::size_t>(shard) * (shape.columns.size() + 1);
}

std::int64_t ManifestDense::bytes() const {
  std::int64_t bytes = size_of(type);
  for (const std::int64_t dim : shape) {
    bytes *= dim;
  }
  return bytes;
}

const ManifestTable& Manifest::table(const std::string& name, const std::string& place) const {
  std::vector<std::string> names;
  for (const ManifestTable& candidate : tables) {
    if (candidate.shape.name == name) {
      return candidate;
    }
    names.push_back(candidate.shape.name);
  }
  fail(Kind::corrupt_data, "{}: expected a table {}: found {}", place, name, joined(names, ", "));
}

Digest128 Manifest::state_digest() const {
  std::vector<TableDigests> parts;
  for (const ManifestTable& table : tables) {
    parts.push_back({table.shape.name, {"keys"}, table.digests});
    for (const ColumnShape& column : table.shape.columns) {
      parts.back().columns.push_back(column.name);
    }
  }
  NamedDigests named;
  for (const ManifestDense& part : dense) {
    named.emplace_back(part.name, part.digest);
  }
  return keyshard::state_digest(parts, named, step);
}

std::string rank_file_name(std::int64_t rank, std::int64_t ranks) {
  return fmt::format("rank-{:04}-of-{:04}.h5", rank, ranks);
}

std::string manifest_text(const Manifest& manifest) {
  const auto tree = [](const auto& entry) { return tree_of(entry); };
  const bool owned = std::any_of(manifest.tables.begin(), manifest.tables.end(),
                                 [](const ManifestTable& table) { return !table.owners.empty(); });
  const std::int64_t format = owned ? kOwnersFormat : kCheckpointFormat;
  const auto table_tree = [&](const ManifestTable& table) { return tree_of(table, format); };
  const SettingValue::Table root{{"format", value_of(format)},
                                 {"step", value_of(manifest.step)},
                                 {"ranks", value_of(manifest.ranks)},
                                 {"state_digest", value_of(manifest.state_digest().hex())},
                                 {"state", manifest.state},
                                 {"config", manifest.config},
                                 {"files", list_of(manifest.files, tree)},
                                 {"dense", list_of(manifest.dense, tree)},
                                 {"tables", list_of(manifest.tables, table_tree)}};
  std::string body = "{";
  for (const auto& [name, value] : root) {
    body += fmt::format("{}\n  \"{}\": {}", body.size() > 1 ? "," : "", name, json_text(value));
  }
  return body + tail_of(body);
}

Manifest parse_manifest(const std::string& text, const std::string& place) {
  const std::size_t tail = tail_of("").size();
  require(text.size() >= tail &&
              text.ends_with(tail_of(std::string_view(text).substr(0, text.size() - tail))),
          Kind::corrupt_data,
          "{}: expected a manifest that ends with its digest: found {} bytes "
          "that do not",
          place, text.size());
  const SettingValue tree = parse_json(text, place);
  return parse_tree({tree, place});
}

}  // namespace keyshard
