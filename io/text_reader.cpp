#include "io/text_reader.hpp"

#include <algorithm>

#include "io/sliced_reader.hpp"
#include "io/text_index.hpp"
#include "io/text_window.hpp"
#include "io/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kAhead = 2;  // records whose text is on its way while one is parsed

std::vector<std::string> names_of(const std::vector<std::unique_ptr<ByteSource>>& sources) {
  std::vector<std::string> names;
  for (const auto& source : sources) {
    names.push_back(source->name());
  }
  return names;
}

class TextReader final : public SlicedReader {
 public:
  TextReader(const DataOptions& options, const ReadPlan& plan, Communicator<Cpu>& communicator,
             std::vector<std::unique_ptr<ByteSource>> sources, WindowParser parser, TextIndex index)
      : SlicedReader(options.schema(), index.block_records(), plan, communicator),
        window_records_(options.window),
        progress_(&communicator.progress()),
        sources_(std::move(sources)),
        parser_(std::move(parser)),
        index_(std::move(index)),
        windows_(static_cast<std::size_t>(run().size())) {}

  Digest128 index_digest() const override { return index_.digest(); }

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
    for (const BlockPiece& piece : order().pieces(begin, end)) {
      load_block(piece.block);
      const auto b = static_cast<std::size_t>(piece.block);
      for (std::int64_t i = piece.first; i < piece.first + piece.count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        window.add(block_.records[at],
                   {index_.first_records[b] + i, index_.blocks[b].file, block_.lines[at]});
      }
    }
    window.set_order(window_order(plan(), epoch(), slice, number, window.size()));
  }

  void load_block(std::int64_t block) {
    if (block == block_number_) {
      return;
    }
    const auto b = static_cast<std::size_t>(block);
    const ByteSource& source = *sources_[static_cast<std::size_t>(index_.blocks[b].file)];
    block_number_ = -1;
    read_block(source, index_.blocks[b], index_.first_lines[b], block_);
    require(static_cast<std::int64_t>(block_.records.size()) == index_.blocks[b].records,
            Kind::bad_input,
            "{}: expected {} records in block {}: found {}; the file changed while it was read",
            source.name(), index_.blocks[b].records, block, block_.records.size());
    block_number_ = block;
    progress_->advance();
  }

  std::int64_t window_records_;
  Progress* progress_;
  std::vector<std::unique_ptr<ByteSource>> sources_;
  WindowParser parser_;
  TextIndex index_;
  std::vector<TextWindow> windows_;  // of each slice of this rank
  TextRecords block_;
  std::int64_t block_number_ = -1;
};

}  // namespace

std::unique_ptr<DataReader> make_text_reader(const DataOptions& options, Split split,
                                             const ReadPlan& plan, Communicator<Cpu>& communicator,
                                             Stream<Cpu>& stream,
                                             std::vector<std::unique_ptr<ByteSource>> sources) {
  std::vector<TextStart> starts;
  std::unique_ptr<WindowParser> parser;
  vote(communicator, [&] {
    for (const auto& source : sources) {
      starts.push_back(find_start(*source, options.skipped(split), options.header));
    }
    parser = std::make_unique<WindowParser>(options, names_of(sources), starts);
  });
  TextIndex index = make_text_index(communicator, stream, sources, starts, options.block_bytes);
  return std::make_unique<TextReader>(options, plan, communicator, std::move(sources),
                                      std::move(*parser), std::move(index));
}

}  // namespace keyshard
