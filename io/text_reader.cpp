#include "io/text_reader.hpp"

#include <algorithm>

#include "collectives/vote.hpp"
#include "io/record_split.hpp"
#include "io/sliced_reader.hpp"
#include "io/text_index.hpp"
#include "io/text_stream.hpp"
#include "io/text_window.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kAhead = 2;  // records whose text is on its way while one is parsed

/// A compressed file that a slice is reading.
struct SliceFile {
  std::int64_t file = -1;
  std::int64_t record = 0;  // the next one of the file
  std::unique_ptr<RecordSplit> split;
  std::unique_ptr<TextStream> stream;
};

class TextReader final : public SlicedReader {
 public:
  TextReader(const DataOptions& options, Split split, const ReadPlan& plan,
             Communicator<Cpu>& communicator, TextFiles files, TextIndex index)
      : SlicedReader(options.schema(), index.block_records, plan, communicator),
        window_records_(options.window),
        progress_(&communicator.progress()),
        skip_lines_(options.skipped(split) + (options.header ? 1 : 0)),
        files_(std::move(files)),
        parser_(options, options.files(split), index.starts),
        split_(options, split, options.files(split), index.starts),
        index_(std::move(index)),
        note_(index_.note(options, split)),
        windows_(static_cast<std::size_t>(run().size())),
        open_files_(windows_.size()) {}

  ReadOrder order() const override { return files_.order; }

  Digest128 index_digest() const override { return index_.digest(); }

  Digest128 content_digest() const override { return index_.content_digest(); }

  std::string note() const override { return note_; }

 private:
  void place_changed() override {
    for (TextWindow& window : windows_) {
      window.begin(-1);
    }
  }

  void read_slice(std::int64_t slice, Range taken, Batch& batch) override {
    TextWindow& window = windows_[static_cast<std::size_t>(slice - run().begin)];
    for (std::int64_t at = taken.begin; at < taken.end; ++at) {
      if (at / window_records_ != window.number()) {
        load_window(slice, at / window_records_, window);
      }
      window.prefetch(at % window_records_ + kAhead);
      parser_.add(window, at % window_records_,
                  steps().sample_number(slice, step(), at - taken.begin), batch);
    }
  }

  void load_window(std::int64_t slice, std::int64_t number, TextWindow& window) {
    const Range own = steps().records_of(slice);
    const std::int64_t begin = own.begin + number * window_records_;
    const std::int64_t end = std::min(begin + window_records_, own.end);
    window.begin(number);
    for (const BlockPiece& piece : epoch_order().pieces(begin, end)) {
      if (file_of(piece.block).bytes) {
        add_from_block(piece, window);
      } else {
        add_from_stream(piece, open_files_[static_cast<std::size_t>(slice - run().begin)], window);
      }
    }
    window.set_order(window_order(plan(), epoch(), slice, number, window.size()));
  }

  const TextFile& file_of(std::int64_t block) const {
    return files_
        .files[static_cast<std::size_t>(index_.blocks[static_cast<std::size_t>(block)].file)];
  }

  void add_from_block(const BlockPiece& piece, TextWindow& window) {
    load_block(piece.block);
    const auto b = static_cast<std::size_t>(piece.block);
    for (std::int64_t i = piece.first; i < piece.first + piece.count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      window.add(block_.records[at],
                 {index_.first_records[b] + i, index_.blocks[b].file, block_.lines[at]});
    }
  }

  /// Skips the records of the file before the piece. An open file goes on where it stands, unless
  /// the piece lies before that place.
  void add_from_stream(const BlockPiece& piece, SliceFile& open, TextWindow& window) {
    const auto b = static_cast<std::size_t>(piece.block);
    const TextFile& file = file_of(piece.block);
    if (open.file != index_.blocks[b].file || open.record > piece.first) {
      auto share = std::make_unique<RecordSplit>(split_.of_file(index_.blocks[b].file));
      auto stream = std::make_unique<TextStream>(Span<const TextFile>(&file, 1), skip_lines_, false,
                                                 share.get());
      open = {index_.blocks[b].file, 0, std::move(share), std::move(stream)};
    }
    std::string_view text;
    TextPlace place;
    for (; open.record < piece.first + piece.count; ++open.record) {
      require(open.stream->next(text, place), Kind::bad_input,
              "{}: expected {} records: found {}; the file changed while it was read", file.path,
              index_.block_records[b], open.record);
      if (open.record >= piece.first) {
        window.add(text, {index_.first_records[b] + open.record, open.file, place.line});
      }
      progress_->advance_at(open.record);
    }
  }

  void load_block(std::int64_t block) {
    if (block == block_number_) {
      return;
    }
    const auto b = static_cast<std::size_t>(block);
    const ByteSource& source = *file_of(block).bytes;
    block_number_ = -1;
    read_block(source, index_.blocks[b], index_.first_lines[b], block_);
    split_.cut(index_.blocks[b].file, index_.first_in_file[b], block_);
    block_number_ = block;
    progress_->advance();
  }

  std::int64_t window_records_;
  Progress* progress_;
  std::int64_t skip_lines_;
  TextFiles files_;
  WindowParser parser_;
  RecordSplit split_;
  TextIndex index_;
  std::string note_;
  std::vector<TextWindow> windows_;    // of each slice of this rank
  std::vector<SliceFile> open_files_;  // of each slice of this rank
  TextRecords block_;
  std::int64_t block_number_ = -1;
};

}  // namespace

std::unique_ptr<DataReader> make_text_reader(const DataOptions& options, Split split,
                                             const ReadPlan& plan, Communicator<Cpu>& communicator,
                                             Stream<Cpu>& stream, TextFiles files) {
  TextIndex index = make_text_index(communicator, stream, options, split, files.files);
  std::unique_ptr<DataReader> reader;
  vote(communicator, [&] {
    reader = std::make_unique<TextReader>(options, split, plan, communicator, std::move(files),
                                          std::move(index));
  });
  return reader;
}

}  // namespace keyshard
