#include "io/record_split.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "collectives/vote.hpp"
#include "io/text_header.hpp"
#include "io/text_stream.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/runs.hpp"
#include "runtime/text_keys.hpp"

namespace keyshard {
namespace {

/// Throws where a column is neither configured nor in a header.
void require_known(const DataOptions& options) {
  for (const std::string& name : options.split.by) {
    const bool known = std::any_of(options.columns.begin(), options.columns.end(),
                                   [&](const ColumnOptions& c) { return c.name == name; });
    require(known || options.header, Kind::bad_input,
            "data.split.by: expected a column of the configuration, for the data has no header: "
            "found \"{}\"",
            name);
  }
}

std::uint64_t hash_of_text(std::string_view text) {
  static const TextKeys key_of;
  return key_of(text);
}

/// Records of a block that is not read: the numbers of its records decide.
std::int64_t count_by_number(RecordSplit& split, const TextBlock& block, std::int64_t first) {
  std::int64_t kept = 0;
  for (std::int64_t i = first; i < first + block.records; ++i) {
    kept += split.has(block.file, i, {});
  }
  return kept;
}

std::int64_t count_by_cells(RecordSplit& split, const TextFile& file, std::int64_t skip_lines,
                            const TextBlock& block, std::int64_t first_line) {
  if (file.bytes) {
    TextRecords records;
    read_block(*file.bytes, block, first_line, records);
    split.cut(block.file, 0, records);
    return std::ssize(records.records);
  }
  std::int64_t kept = 0;
  TextStream stream({&file, 1}, skip_lines, false);
  std::string_view text;
  for (TextPlace place; stream.next(text, place);) {
    kept += split.has(block.file, place.record, text);
  }
  return kept;
}

}  // namespace

RecordSplit::RecordSplit(const DataOptions& options, Split split,
                         const std::vector<std::string>& files,
                         const std::vector<TextStart>& starts)
    : whole_(!options.is_share(split)), options_(options.split), splitter_(options) {
  if (whole_) {
    return;
  }
  begin_ = split == Split::valid  ? 0
           : split == Split::test ? options_.valid
                                  : options_.valid + options_.test;
  end_ = split == Split::train ? 1 : begin_ + options_.share(split);
  for (const std::string& file : files) {
    files_.push_back(hash_of_text(file.substr(file.find_last_of('/') + 1)));
  }
  if (options_.by.empty()) {
    return;
  }
  require_known(options);
  cells_.resize(files.size());
  for (std::size_t f = 0; f < files.size(); ++f) {
    if (!starts[f].empty) {
      splitter_.split(starts[f].header);
      cells_[f] = cells_of_names(options, options_.by, splitter_.cells(),
                                 fmt::format("{}:{}", files[f], starts[f].header_line));
    }
  }
}

RecordSplit RecordSplit::of_file(std::int64_t file) const {
  RecordSplit one = *this;
  const auto f = static_cast<std::size_t>(file);
  if (!whole_) {
    one.files_ = {files_[f]};
  }
  if (!cells_.empty()) {
    one.cells_ = {cells_[f]};
  }
  return one;
}

bool RecordSplit::has_hash(std::uint64_t hash) const {
  const double drawn = static_cast<double>(hash >> 11) * 0x1p-53;
  return drawn >= begin_ && drawn < end_;
}

std::uint64_t RecordSplit::hash_of_cells(std::size_t file, std::string_view text) {
  const bool whole = splitter_.split(text) == nullptr &&
                     std::all_of(cells_[file].begin(), cells_[file].end(),
                                 [&](std::size_t c) { return c < splitter_.cells().size(); });
  if (!whole) {
    return hash_of(options_.seed, hash_of_text(text));
  }
  std::uint64_t hash = hash_of(options_.seed);
  for (const std::size_t cell : cells_[file]) {
    hash = hash_of(hash, hash_of_text(splitter_.cells()[cell]));
  }
  return hash;
}

bool RecordSplit::has(std::int64_t file, std::int64_t number, std::string_view text) {
  const auto f = static_cast<std::size_t>(file);
  return whole_ || has_hash(is_by_number() ? hash_of(options_.seed, files_[f], number)
                                           : hash_of_cells(f, text));
}

void RecordSplit::cut(std::int64_t file, std::int64_t first, TextRecords& records) {
  if (whole_) {
    return;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < records.records.size(); ++i) {
    if (has(file, first + static_cast<std::int64_t>(i), records.records[i])) {
      records.records[kept] = records.records[i];
      records.lines[kept++] = records.lines[i];
    }
  }
  records.records.resize(kept);
  records.lines.resize(kept);
}

void cut_index(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const RecordSplit& split,
               Span<const TextFile> files, std::int64_t skip_lines, TextIndex& index) {
  const std::int64_t whole = index.records;
  const Range mine = run_of(communicator.rank(), communicator.size(), std::ssize(index.blocks));
  std::vector<std::int64_t> kept(static_cast<std::size_t>(mine.size()));
  vote(communicator, [&] {
    stream.threads().for_tasks(mine.size(), [&](std::int64_t i, int) {
      const auto b = static_cast<std::size_t>(mine.begin + i);
      const TextBlock& block = index.blocks[b];
      RecordSplit own = split;
      kept[static_cast<std::size_t>(i)] =
          split.is_by_number() ? count_by_number(own, block, index.first_in_file[b])
                               : count_by_cells(own, files[static_cast<std::size_t>(block.file)],
                                                skip_lines, block, index.first_lines[b]);
      communicator.progress().advance();
    });
  });
  index.take_counts(communicator.gather_joined(Span<const std::int64_t>(kept)));
  require(index.records > 0, Kind::bad_input,
          "{}: data.split leaves none of {} records in this split: a larger share or another "
          "data.split.seed does",
          files[0].path, whole);
}

}  // namespace keyshard
