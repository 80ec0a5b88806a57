#include "io/manifest.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>

#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kMost = std::int64_t{1}
                               << 48;  // of rows, bytes and elements: a bound for sums
constexpr std::size_t kHexDigits = 32;

/// The end of the text: the digest of all before it.
std::string tail_of(std::string_view body) {
  return fmt::format(",\n  \"digest\": \"{}\"\n}}\n", digest_of(body.data(), body.size()).hex());
}

SettingValue value_of(auto value) {
  SettingValue result;
  result.value = std::move(value);
  return result;
}

SettingValue list_of(const std::vector<std::int64_t>& values) {
  SettingValue::Array array;
  for (const std::int64_t value : values) {
    array.push_back(value_of(value));
  }
  return value_of(std::move(array));
}

SettingValue list_of(const auto& entries, const auto& convert) {
  SettingValue::Array array;
  for (const auto& entry : entries) {
    array.push_back(value_of(convert(entry)));
  }
  return value_of(std::move(array));
}

SettingValue::Table tree_of(const ColumnShape& column) {
  return {{"name", value_of(column.name)},
          {"type", value_of(std::string(name_of(column.type)))},
          {"width", value_of(column.width)}};
}

SettingValue::Table tree_of(const ManifestTable& table) {
  // One long text per table: thousands of short ones take long to parse.
  std::string digests;
  for (const Digest128& digest : table.digests) {
    digests += digest.hex();
  }
  return {{"name", value_of(table.shape.name)},
          {"columns", list_of(table.shape.columns, [](const auto& c) { return tree_of(c); })},
          {"options", table.shape.options},
          {"rows", list_of(table.rows)},
          {"digests", value_of(std::move(digests))}};
}

SettingValue::Table tree_of(const ManifestDense& dense) {
  return {{"name", value_of(dense.name)},
          {"type", value_of(std::string(name_of(dense.type)))},
          {"shape", list_of(dense.shape)},
          {"digest", value_of(dense.digest.hex())}};
}

SettingValue::Table tree_of(const ManifestFile& file) {
  return {{"name", value_of(file.name)},
          {"bytes", value_of(file.bytes)},
          {"digest", value_of(file.digest.hex())}};
}

/// A value of the parsed text with the path to it, for messages.
class Node {
 public:
  Node(const SettingValue& value, std::string path) : value_(&value), path_(std::move(path)) {}

  Node at(std::string_view key) const {
    for (const auto& [name, entry] : get<SettingValue::Table>("an object")) {
      if (name == key) {
        return {entry, fmt::format("{}.{}", path_, key)};
      }
    }
    fail(Kind::corrupt_data, "{}: expected a member {}: found none", path_, key);
  }

  std::vector<Node> entries() const {
    std::vector<Node> nodes;
    for (const SettingValue& entry : get<SettingValue::Array>("a list")) {
      nodes.emplace_back(entry, fmt::format("{}[{}]", path_, nodes.size()));
    }
    return nodes;
  }

  const std::string& text() const { return get<std::string>("a text"); }

  std::int64_t integer() const {
    const std::int64_t value = get<std::int64_t>("an integer");
    require(value >= 0 && value <= kMost, Kind::corrupt_data, "{}: expected 0 to {}: found {}",
            path_, kMost, value);
    return value;
  }

  std::vector<std::int64_t> integers() const {
    std::vector<std::int64_t> values;
    for (const Node& entry : entries()) {
      values.push_back(entry.integer());
    }
    return values;
  }

  ElementType type() const { return element_type_of(text(), path_); }

  Digest128 digest() const { return digest_at(text(), 0); }

  /// The digests that a text holds one after another.
  std::vector<Digest128> digests() const {
    std::vector<Digest128> result;
    for (std::size_t begin = 0; begin < text().size(); begin += kHexDigits) {
      result.push_back(digest_at(text(), begin));
    }
    return result;
  }

  const SettingValue& value() const { return *value_; }

  const std::string& path() const { return path_; }

 private:
  template <class T>
  const T& get(const char* expected) const {
    const T* found = std::get_if<T>(&value_->value);
    require(found != nullptr, Kind::corrupt_data, "{}: expected {}: found something else", path_,
            expected);
    return *found;
  }

  Digest128 digest_at(std::string_view text, std::size_t begin) const {
    const std::string_view digits = text.substr(begin, kHexDigits);
    require(digits.size() == kHexDigits &&
                digits.find_first_not_of("0123456789abcdef") == std::string_view::npos,
            Kind::corrupt_data, "{}: expected 32 hexadecimal digits: found {}", path_, digits);
    return {std::stoull(std::string(digits.substr(16)), nullptr, 16),
            std::stoull(std::string(digits.substr(0, 16)), nullptr, 16)};
  }

  const SettingValue* value_;
  std::string path_;
};

ManifestTable parse_table(const Node& node) {
  ManifestTable table;
  table.shape.name = node.at("name").text();
  table.shape.options = node.at("options").value();
  for (const Node& column : node.at("columns").entries()) {
    table.shape.columns.push_back(
        {column.at("name").text(), column.at("type").type(), column.at("width").integer()});
  }
  table.rows = node.at("rows").integers();
  table.digests = node.at("digests").digests();
  const std::size_t expected = table.rows.size() * (table.shape.columns.size() + 1);
  require(table.digests.size() == expected, Kind::corrupt_data, "{}: expected {} digests: found {}",
          node.path(), expected, table.digests.size());
  return table;
}

/// Holds that the files are those of its ranks and checkpoint.h5, each once.
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
          fmt::join(expected, ", "), fmt::join(found, ", "));
}

Manifest parse_tree(const Node& root) {
  const std::int64_t format = root.at("format").integer();
  require(format == kCheckpointFormat, Kind::corrupt_data,
          "{}: expected format version {}, which this version of keyshard reads: found {}",
          root.path(), kCheckpointFormat, format);
  Manifest manifest;
  manifest.step = root.at("step").integer();
  manifest.ranks = root.at("ranks").integer();
  manifest.config = root.at("config").value();
  manifest.state = root.at("state").value();
  for (const Node& node : root.at("tables").entries()) {
    manifest.tables.push_back(parse_table(node));
  }
  for (const Node& node : root.at("dense").entries()) {
    manifest.dense.push_back({node.at("name").text(), node.at("type").type(),
                              node.at("shape").integers(), node.at("digest").digest()});
  }
  for (const Node& node : root.at("files").entries()) {
    manifest.files.push_back(
        {node.at("name").text(), node.at("bytes").integer(), node.at("digest").digest()});
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
  fail(Kind::corrupt_data, "{}: expected a table {}: found {}", place, name,
       fmt::join(names, ", "));
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
  const SettingValue::Table root{{"format", value_of(kCheckpointFormat)},
                                 {"step", value_of(manifest.step)},
                                 {"ranks", value_of(manifest.ranks)},
                                 {"state_digest", value_of(manifest.state_digest().hex())},
                                 {"state", manifest.state},
                                 {"config", manifest.config},
                                 {"files", list_of(manifest.files, tree)},
                                 {"dense", list_of(manifest.dense, tree)},
                                 {"tables", list_of(manifest.tables, tree)}};
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
