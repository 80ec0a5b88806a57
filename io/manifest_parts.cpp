#include "io/manifest_parts.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

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

/// The values of a tree; long texts count as several.
std::int64_t count_of(const SettingValue& tree) {
  std::int64_t count = 1;
  if (const auto* list = std::get_if<SettingValue::Array>(&tree.value)) {
    for (const SettingValue& entry : *list) {
      count += count_of(entry);
    }
  } else if (const auto* table = std::get_if<SettingValue::Table>(&tree.value)) {
    for (const auto& [name, entry] : *table) {
      count += std::ssize(name) / kLettersOfValue + count_of(entry);
    }
  } else if (const auto* text = std::get_if<std::string>(&tree.value)) {
    count += std::ssize(*text) / kLettersOfValue;
  }
  return count;
}

template <class T>
std::int64_t bytes_of(const std::vector<T>& entries) {
  return std::ssize(entries) * static_cast<std::int64_t>(sizeof(T));
}

/// The values of a tree whose texts would take the memory of a part of a manifest.
std::int64_t count_of(const ManifestTable& table) {
  std::int64_t bytes = bytes_of(table.shape.columns) + bytes_of(table.filled) +
                       bytes_of(table.rows) + bytes_of(table.digests) + bytes_of(table.offsets) +
                       bytes_of(table.owners) + std::ssize(table.shape.name);
  for (const ColumnShape& column : table.shape.columns) {
    bytes += std::ssize(column.name);
  }
  return 1 + count_of(table.shape.options) + bytes / kBytesOfValue;
}

std::int64_t count_of(const ManifestDense& dense) {
  return 1 + (bytes_of(dense.shape) + std::ssize(dense.name)) / kBytesOfValue;
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

}  // namespace

ManifestParts::ManifestParts(std::string place) : place_(std::move(place)) {}

std::int64_t ManifestParts::take(const SettingValue& root, const SettingValue& entry) {
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
    return count_of(manifest_.dense.emplace_back(parse_dense(node, manifest_)));
  }
  if (manifest_.tables.empty()) {
    require_file_set(manifest_, place_);  // so the number of ranks is one that a text can have
  }
  return count_of(manifest_.tables.emplace_back(parse_table(node, manifest_)));
}

Manifest ManifestParts::finish(SettingValue tree) {
  const ValueReader root(tree, place_);
  read_head(root);
  for (const char* list : {"files", "dense", "tables"}) {
    root.at(list).entries(0);  // is there, and a list; its entries were taken
  }
  require_file_set(manifest_, place_);
  require_places(manifest_, place_);
  const Digest128 named = root.at("state_digest").digest(), found = manifest_.state_digest();
  require(named == found, Kind::corrupt_data, "{}: expected the state digest {}: found {}", place_,
          named.hex(), found.hex());
  manifest_.config = take_member(tree, "config", place_);
  manifest_.state = take_member(tree, "state", place_);
  return std::move(manifest_);
}

void ManifestParts::read_head(const ValueReader& root) {
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

}  // namespace keyshard
