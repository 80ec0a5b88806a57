#include "io/text_index.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "collectives/texts.hpp"
#include "collectives/vote.hpp"
#include "io/data_files.hpp"
#include "io/index_file.hpp"
#include "io/record_split.hpp"
#include "io/text_header.hpp"
#include "io/text_record.hpp"
#include "io/text_stream.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"
#include "runtime/shown.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kFirstPiece = std::int64_t{1} << 16;

/// The lines that start in a block, whole.
void read_whole_lines(const ByteSource& source, const TextBlock& block, std::string& bytes) {
  // The byte before the block tells whether a line starts at the first byte of the block.
  const std::int64_t from = std::max<std::int64_t>(block.begin - 1, 0);
  source.read(from, block.end - from, bytes);
  if (block.begin > 0) {
    const std::size_t line_end = bytes.find('\n');
    bytes.erase(0, line_end == std::string::npos ? bytes.size() : line_end + 1);
  }
  std::string more;
  for (std::int64_t at = block.end; !bytes.empty() && bytes.back() != '\n' && at < source.size();) {
    source.read(at, kFirstPiece, more);
    const std::size_t line_end = more.find('\n');
    bytes.append(more, 0, line_end == std::string::npos ? more.size() : line_end + 1);
    at += static_cast<std::int64_t>(more.size());
  }
}

/// Counts records and lines whose first byte is in the block.
void count_block(const ByteSource& source, TextBlock& block) {
  std::string bytes;
  read_whole_lines(source, block, bytes);
  block.records = 0;
  block.lines = 0;
  block.content = digest_of(bytes.data(), bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    const TextLine line = line_at(bytes, at);
    block.records += !line.text.empty();
    ++block.lines;
    at = line.next;
  }
}

std::vector<TextBlock> cut_blocks(const ByteSource& source, std::int64_t start,
                                  std::int64_t block_bytes) {
  std::vector<TextBlock> blocks;
  for (std::int64_t at = start; at < source.size(); at += block_bytes) {
    blocks.push_back({.begin = at, .end = std::min(at + block_bytes, source.size())});
  }
  return blocks;
}

/// Counts a file that is read in one pass.
void count_file(const TextFile& file, std::int64_t skip_lines, Progress& progress,
                TextBlock& block) {
  TextStream stream({&file, 1}, skip_lines, false);
  std::string_view text;
  TextPlace place;
  Digest content;
  while (stream.next(text, place)) {
    content.add(text);
    block.records = place.record + 1;
    block.lines = place.line;
    progress.advance_at(block.records);
  }
  block.end = stream.file_bytes();
  block.content = content.result();
}

/// Finds in the first bytes of a file where its records begin, and without a header, the first one.
/// Nothing where the bytes end before that; `whole` says that they are all there are.
std::optional<TextStart> start_in(std::string_view bytes, bool whole, std::int64_t skip_lines,
                                  bool header) {
  TextStart start;
  std::size_t at = 0;
  std::string_view last;
  const std::int64_t wanted = skip_lines + (header ? 1 : 0);
  for (std::int64_t lines = 0; at < bytes.size() && !(header && lines == wanted);) {
    const TextLine line = line_at(bytes, at);
    if (line.next == bytes.size() && !whole) {
      return std::nullopt;  // the line goes on behind what was read
    }
    if (lines >= wanted && !line.text.empty()) {
      start.first_record = std::string(line.text);
      start.first_record_line = lines + 1;
      break;
    }
    ++lines;
    at = line.next;
    if (lines <= wanted) {
      last = line.text;
      start.offset = static_cast<std::int64_t>(at);
      start.header_line = lines;
    }
  }
  if (at == bytes.size() && !whole && !(header && start.header_line == wanted)) {
    return std::nullopt;
  }
  start.line = start.header_line + 1;
  start.header = header && start.header_line == wanted ? std::string(last) : std::string();
  return start;
}

TextStart find_start(const ByteSource& source, std::int64_t skip_lines, bool header) {
  std::string bytes;
  for (std::int64_t size = kFirstPiece;; size *= 4) {
    source.read(0, size, bytes);
    const bool whole = std::ssize(bytes) >= source.size();
    if (std::optional<TextStart> start = start_in(bytes, whole, skip_lines, header)) {
      return *std::move(start);
    }
  }
}

/// Where the records of a file begin.
TextStart start_of(const TextFile& file, std::int64_t skip_lines, bool header) {
  if (file.bytes) {
    return find_start(*file.bytes, skip_lines, header);
  }
  TextStream stream({&file, 1}, skip_lines, header);
  std::string_view text;
  TextPlace place;
  const bool found = stream.next(text, place);
  TextStart start = stream.starts().front();
  if (found && !header) {
    start.first_record = std::string(text);
    start.first_record_line = place.line;
  }
  return start;
}

void require_same_files(Communicator<Cpu>& communicator, const std::vector<TextFile>& files) {
  Digest sizes;
  for (const TextFile& file : files) {
    sizes.add(static_cast<std::uint64_t>(file.stamp.bytes));
  }
  const std::vector<Digest128> all = communicator.gather_values(sizes.result());
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    require(
        all[rank] == all.front(), Kind::bad_input,
        "expected the same files on all ranks: ranks 0 and {} see other sizes or numbers of files",
        rank);
  }
}

/// Copies from the kept index the blocks of the files that have not changed on any rank.
void take_kept(Communicator<Cpu>& communicator, const DataOptions& options, Split split,
               std::vector<IndexedFile>& files) {
  const std::string own = communicator.rank() == 0 ? read_index(options.index_folder, split) : "";
  const std::vector<IndexedFile> kept = parse_index(broadcast_text(communicator, own));
  std::vector<std::int64_t> fits(files.size());
  for (std::size_t f = 0; f < files.size(); ++f) {
    fits[f] = f < kept.size() && kept[f].fits(files[f]) ? 1 : 0;
  }
  communicator.all_reduce(Span<std::int64_t>(fits), Reduction::min);
  for (std::size_t f = 0; f < files.size(); ++f) {
    if (fits[f] != 0) {
      files[f].blocks = kept[f].blocks;
    }
  }
}

/// Each rank counts a run of the blocks; the counts are gathered.
void count_blocks(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                  const std::vector<TextFile>& files, std::int64_t skip_lines,
                  std::vector<TextBlock>& blocks) {
  const Range mine =
      run_of(communicator.rank(), communicator.size(), static_cast<std::int64_t>(blocks.size()));
  vote(communicator, [&] {
    stream.threads().for_tasks(mine.size(), [&](std::int64_t i, int) {
      TextBlock& block = blocks[static_cast<std::size_t>(mine.begin + i)];
      const TextFile& file = files[static_cast<std::size_t>(block.file)];
      if (file.bytes) {
        count_block(*file.bytes, block);
      } else {
        count_file(file, skip_lines, communicator.progress(), block);
      }
      communicator.progress().advance();
    });
  });
  blocks =
      communicator.gather_joined(Span<const TextBlock>(blocks).subspan(mine.begin, mine.size()));
}

/// Counts the files without blocks.
void count_files(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                 const std::vector<TextFile>& files, const std::vector<TextStart>& starts,
                 std::vector<IndexedFile>& indexed) {
  std::vector<TextBlock> missing;
  for (std::size_t f = 0; f < files.size(); ++f) {
    if (indexed[f].blocks.empty()) {
      std::vector<TextBlock> blocks{TextBlock{}};
      if (files[f].bytes) {
        blocks = cut_blocks(*files[f].bytes, starts[f].offset, indexed[f].block_bytes);
      }
      for (TextBlock& block : blocks) {
        block.file = static_cast<std::int64_t>(f);
        missing.push_back(block);
      }
    }
  }
  const std::int64_t skip_lines = indexed.empty() ? 0 : indexed.front().skip_lines;
  count_blocks(communicator, stream, files, skip_lines, missing);
  for (const TextBlock& block : missing) {
    indexed[static_cast<std::size_t>(block.file)].blocks.push_back(block);
  }
}

/// What the blocks of all files are together.
TextIndex join(const std::vector<TextFile>& files, std::vector<TextStart> starts,
               const std::vector<IndexedFile>& indexed) {
  TextIndex index;
  std::vector<std::int64_t> counts;
  for (std::size_t f = 0; f < files.size(); ++f) {
    std::int64_t line = starts[f].line;
    std::int64_t records = 0;
    for (TextBlock block : indexed[f].blocks) {
      block.file = static_cast<std::int64_t>(f);
      index.blocks.push_back(block);
      index.first_lines.push_back(line);
      index.first_in_file.push_back(records);
      counts.push_back(block.records);
      line += block.lines;
      records += block.records;
    }
    starts[f].empty = records == 0;
  }
  index.take_counts(std::move(counts));
  require(
      index.records > 0, Kind::bad_input, "{}: expected records: found none in {} bytes{}",
      files.front().path, files.front().stamp.bytes,
      files.size() > 1 ? fmt::format(", and none in the other {} files", files.size() - 1) : "");
  index.starts = std::move(starts);
  return index;
}

}  // namespace

std::string TextIndex::note(const DataOptions& options, Split split) const {
  std::string note = note_of_markers(options, split);
  std::vector<std::string> names;
  const TextStart* first = nullptr;
  for (std::size_t f = 0; f < starts.size(); ++f) {
    if (starts[f].empty) {
      names.push_back(options.files(split)[f]);
    } else if (first == nullptr) {
      first = &starts[f];
    }
  }
  if (!names.empty()) {
    note += fmt::format("{}data.{}: {} of {} files have no records and are skipped: {}",
                        note.empty() ? "" : "\n", name_of(split), names.size(), starts.size(),
                        some_of(names));
  }
  if (options.header && all_by_index(options) && first != nullptr) {
    note += fmt::format("{}data.{}: the first line of each file is a header and no record: \"{}\"",
                        note.empty() ? "" : "\n", name_of(split), shown(first->header));
  }
  return note;
}

void TextIndex::take_counts(std::vector<std::int64_t> counts) {
  block_records = std::move(counts);
  first_records.clear();
  records = 0;
  for (const std::int64_t count : block_records) {
    first_records.push_back(records);
    records += count;
  }
}

Digest128 TextIndex::digest() const {
  Digest digest;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const TextBlock& block = blocks[b];
    digest.add(static_cast<std::uint64_t>(block.file)).add(static_cast<std::uint64_t>(block.begin));
    digest.add(static_cast<std::uint64_t>(block.end))
        .add(static_cast<std::uint64_t>(block_records[b]));
  }
  return digest.result();
}

Digest128 TextIndex::content_digest() const {
  Digest digest;
  for (const TextBlock& block : blocks) {
    digest.add(block.content);
  }
  return digest.result();
}

TextIndex make_text_index(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                          const DataOptions& options, Split split,
                          const std::vector<TextFile>& files) {
  const InPhase phase(communicator.progress(), Phase::indexing);
  require_same_files(communicator, files);
  std::vector<TextStart> starts;
  std::vector<IndexedFile> indexed;
  vote(communicator, [&] {
    for (const TextFile& file : files) {
      starts.push_back(start_of(file, options.skipped(split), options.header));
      indexed.push_back(
          {options.index_folder.empty() ? file.path : index_name(file.path, options.index_folder),
           file.stamp,
           file.bytes ? options.block_bytes : 0,
           options.skipped(split) + (options.header ? 1 : 0),
           {}});
    }
  });
  const bool keep = !options.index_folder.empty();
  if (keep) {
    take_kept(communicator, options, options.source(split), indexed);
  }
  const bool complete = std::none_of(indexed.begin(), indexed.end(),
                                     [](const IndexedFile& file) { return file.blocks.empty(); });
  if (!complete) {
    count_files(communicator, stream, files, starts, indexed);
    if (keep && communicator.rank() == 0) {
      write_index(options.index_folder, options.source(split), indexed);
    }
  }
  TextIndex index = join(files, std::move(starts), indexed);
  const RecordSplit share(options, split, options.files(split), index.starts);
  if (!share.is_whole()) {
    cut_index(communicator, stream, share, files, indexed.front().skip_lines, index);
  }
  return index;
}

void read_block(const ByteSource& source, const TextBlock& block, std::int64_t first_line,
                TextRecords& out) {
  read_whole_lines(source, block, out.bytes);
  out.records.clear();
  out.lines.clear();
  std::int64_t number = first_line;
  for (std::size_t at = 0; at < out.bytes.size(); ++number) {
    const TextLine line = line_at(out.bytes, at);
    if (!line.text.empty()) {
      out.records.push_back(line.text);
      out.lines.push_back(number);
    }
    at = line.next;
  }
  require(std::ssize(out.records) == block.records &&
              digest_of(out.bytes.data(), out.bytes.size()) == block.content,
          Kind::bad_input,
          "{}: expected the {} records from byte {} to {} as they were counted: found others; the "
          "file changed while it was read, or it changed earlier and kept its size and time: then "
          "remove the index (index-train.json, index-valid.json) from the folder of the job",
          source.name(), block.records, block.begin, block.end);
}

}  // namespace keyshard
