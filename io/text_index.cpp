#include "io/text_index.hpp"

#include <algorithm>

#include "io/text_record.hpp"
#include "io/vote.hpp"
#include "runtime/error.hpp"
#include "runtime/runs.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kPiece = std::int64_t{1} << 16;

/// The lines that start in a block, whole.
void read_whole_lines(const ByteSource& source, const TextBlock& block, std::string& bytes) {
  // The byte before tells whether a line starts with the block's first one.
  const std::int64_t from = std::max<std::int64_t>(block.begin - 1, 0);
  source.read(from, block.end - from, bytes);
  if (block.begin > 0) {
    const std::size_t line_end = bytes.find('\n');
    bytes.erase(0, line_end == std::string::npos ? bytes.size() : line_end + 1);
  }
  std::string more;
  for (std::int64_t at = block.end; !bytes.empty() && bytes.back() != '\n' && at < source.size();) {
    source.read(at, kPiece, more);
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
  for (std::size_t at = 0; at < bytes.size();) {
    const TextLine line = line_at(bytes, at);
    block.records += !line.text.empty();
    ++block.lines;
    at = line.next;
  }
}

std::vector<TextBlock> cut_blocks(const std::vector<std::unique_ptr<ByteSource>>& sources,
                                  const std::vector<TextStart>& starts, std::int64_t block_bytes) {
  std::vector<TextBlock> blocks;
  for (std::size_t f = 0; f < sources.size(); ++f) {
    for (std::int64_t at = starts[f].offset; at < sources[f]->size(); at += block_bytes) {
      blocks.push_back(
          {static_cast<std::int64_t>(f), at, std::min(at + block_bytes, sources[f]->size()), 0, 0});
    }
  }
  return blocks;
}

}  // namespace

std::vector<std::int64_t> TextIndex::block_records() const {
  std::vector<std::int64_t> counts;
  for (const TextBlock& block : blocks) {
    counts.push_back(block.records);
  }
  return counts;
}

Digest128 TextIndex::digest() const {
  Digest digest;
  for (const TextBlock& block : blocks) {
    digest.add(static_cast<std::uint64_t>(block.file)).add(static_cast<std::uint64_t>(block.begin));
    digest.add(static_cast<std::uint64_t>(block.end))
        .add(static_cast<std::uint64_t>(block.records));
  }
  return digest.result();
}

TextStart find_start(const ByteSource& source, std::int64_t skip_lines, bool header) {
  TextStart start;
  std::string bytes;
  std::int64_t size = kPiece;
  for (;;) {
    source.read(0, size, bytes);
    std::size_t at = 0;
    std::int64_t lines = 0;
    std::string_view last;
    const std::int64_t wanted = skip_lines + (header ? 1 : 0);
    while (lines < wanted && at < bytes.size()) {
      const TextLine line = line_at(bytes, at);
      if (line.next == bytes.size() && static_cast<std::int64_t>(bytes.size()) < source.size()) {
        break;  // the line goes on behind what was read
      }
      last = line.text;
      at = line.next;
      ++lines;
    }
    if (lines == wanted || static_cast<std::int64_t>(bytes.size()) >= source.size()) {
      start.offset = static_cast<std::int64_t>(at);
      start.line = lines + 1;
      start.header = header && lines == wanted ? std::string(last) : std::string();
      start.header_line = lines;
      return start;
    }
    size *= 4;
  }
}

TextIndex make_text_index(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                          const std::vector<std::unique_ptr<ByteSource>>& sources,
                          const std::vector<TextStart>& starts, std::int64_t block_bytes) {
  const InPhase phase(communicator.progress(), Phase::indexing);
  TextIndex index;
  index.blocks = cut_blocks(sources, starts, block_bytes);
  Digest sizes;
  for (const auto& source : sources) {
    sizes.add(static_cast<std::uint64_t>(source->size()));
  }
  const std::vector<Digest128> all = communicator.gather_values(sizes.result());
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    require(
        all[rank] == all.front(), Kind::bad_input,
        "expected the same files on all ranks: ranks 0 and {} see other sizes or numbers of files",
        rank);
  }

  // Each rank counts a run of blocks; the counts are gathered.
  const auto blocks = static_cast<std::int64_t>(index.blocks.size());
  const Range mine = run_of(communicator.rank(), communicator.size(), blocks);
  vote(communicator, [&] {
    stream.threads().for_tasks(mine.size(), [&](std::int64_t i, int) {
      TextBlock& block = index.blocks[static_cast<std::size_t>(mine.begin + i)];
      count_block(*sources[static_cast<std::size_t>(block.file)], block);
      communicator.progress().advance();
    });
  });
  std::vector<std::int64_t> byte_counts;
  const std::vector<std::byte> gathered = communicator.gather_bytes(
      std::as_bytes(Span<const TextBlock>(index.blocks.data() + mine.begin,
                                          static_cast<std::size_t>(mine.size()))),
      byte_counts);
  std::copy(gathered.begin(), gathered.end(),
            std::as_writable_bytes(Span<TextBlock>(index.blocks)).begin());

  std::vector<std::int64_t> records(sources.size());
  std::int64_t line = 0;
  for (std::size_t b = 0; b < index.blocks.size(); ++b) {
    const TextBlock& block = index.blocks[b];
    const auto file = static_cast<std::size_t>(block.file);
    line = b == 0 || index.blocks[b - 1].file != block.file ? starts[file].line : line;
    index.first_lines.push_back(line);
    index.first_records.push_back(index.records);
    line += block.lines;
    index.records += block.records;
    records[file] += block.records;
  }
  for (std::size_t f = 0; f < sources.size(); ++f) {
    require(records[f] > 0, Kind::bad_input, "{}: expected records: found none in {} bytes",
            sources[f]->name(), sources[f]->size());
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
}

}  // namespace keyshard
