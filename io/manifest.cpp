#include "io/manifest.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include "io/manifest_parts.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

/// The bytes of a text that are in memory at once.
constexpr std::int64_t kPiece = std::int64_t{1} << 18;

/// The end of the text: the digest of all before it.
std::string tail_of(const Digest128& body) {
  return fmt::format(",\n  \"digest\": \"{}\"\n}}\n", body.hex());
}

/// A text in pieces.
TextSource pieces_of(const ReadText& read, std::int64_t bytes) {
  return [&read, bytes, at = std::int64_t{0}, room = std::string()]() mutable {
    room.resize(static_cast<std::size_t>(std::min(kPiece, bytes - at)));
    read(at, Span<char>(room));
    at += std::ssize(room);
    return Span<const char>(room);
  };
}

/// Whether the text ends with the digest of all before it.
bool is_sealed(const ReadText& read, std::int64_t bytes) {
  std::string tail = tail_of({});
  const std::int64_t body = bytes - std::ssize(tail);
  if (body < 0) {
    return false;
  }
  Digest digest;
  const TextSource pieces = pieces_of(read, body);
  for (Span<const char> piece = pieces(); !piece.empty(); piece = pieces()) {
    digest.add(piece);
  }
  read(body, Span<char>(tail));
  return tail == tail_of(digest.result());
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
  return text += tail_of(digest_of(text.data(), text.size()));
}

Manifest parse_manifest(const ReadText& read, std::int64_t bytes, const std::string& place,
                        std::int64_t most_values) {
  require(is_sealed(read, bytes), Kind::corrupt_data,
          "{}: expected a manifest that ends with its digest: found {} bytes that do not", place,
          bytes);
  ManifestParts manifest(place);
  JsonParts parts;
  parts.lists = {"files", "dense", "tables"};
  parts.take = [&](const SettingValue& root, const SettingValue& entry) {
    return manifest.take(root, entry);
  };
  parts.most_values = most_values;
  return manifest.finish(parse_json_in_parts(pieces_of(read, bytes), place, parts));
}

Manifest parse_manifest(const std::string& text, const std::string& place,
                        std::int64_t most_values) {
  const auto read = [&](std::int64_t offset, Span<char> out) {
    std::copy_n(text.data() + offset, out.size(), out.data());
  };
  return parse_manifest(read, std::ssize(text), place, most_values);
}

}  // namespace keyshard
