#include "io/stream_reader.hpp"

#include <algorithm>

#include "collectives/vote.hpp"
#include "io/record_split.hpp"
#include "io/sliced_reader.hpp"
#include "io/text_stream.hpp"
#include "io/text_window.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

class StreamReader final : public SlicedReader {
 public:
  StreamReader(const DataOptions& options, Split split, const ReadPlan& plan,
               Communicator<Cpu>& communicator, std::vector<TextFile> files, const TextIndex& index)
      : SlicedReader(options.schema(), {index.records}, plan, communicator, SliceCut::steps),
        window_records_(options.window),
        skip_lines_(options.skipped(split) + (options.header ? 1 : 0)),
        progress_(&communicator.progress()),
        digest_(index.digest()),
        content_(index.content_digest()),
        note_(index.note(options, split)),
        parser_(options, options.files(split), index.starts),
        split_(options, split, options.files(split), index.starts),
        files_(std::move(files)) {}

  ReadOrder order() const override { return ReadOrder::stream; }

  Digest128 index_digest() const override { return digest_; }

  Digest128 content_digest() const override { return content_; }

  std::string note() const override { return note_; }

 private:
  void place_changed() override {
    stream_.reset();
    window_.begin(-1);
  }

  void read_slice(std::int64_t slice, Range taken, Batch& batch) override {
    for (std::int64_t i = 0; i < taken.size(); ++i) {
      const std::int64_t at = steps().stream_record(slice, step(), i);
      while (window_.number() < at / window_records_) {
        load_next_window();
      }
      parser_.add(window_, at % window_records_, steps().sample_number(slice, step(), i), batch);
    }
  }

  /// Loads the window after this one. A seek passes over windows by loading them.
  void load_next_window() {
    if (!stream_) {
      stream_ = std::make_unique<TextStream>(files_, skip_lines_, false, &split_);
    }
    const std::int64_t number = window_.number() + 1;
    const std::int64_t size = std::min(window_records_, records() - number * window_records_);
    window_.begin(number);
    std::string_view text;
    TextPlace place;
    while (window_.size() < size && stream_->next(text, place)) {
      window_.add(text, place);
      progress_->advance_at(window_.size());
    }
    require(window_.size() == size, Kind::bad_input,
            "{}: expected {} records: found {}; the data changed while it was read",
            files_.back().path, records(), number * window_records_ + window_.size());
    window_.set_order(window_order(plan(), epoch(), 0, number, size));
  }

  std::int64_t window_records_;
  std::int64_t skip_lines_;
  Progress* progress_;
  Digest128 digest_;
  Digest128 content_;
  std::string note_;
  WindowParser parser_;
  RecordSplit split_;
  std::vector<TextFile> files_;
  std::unique_ptr<TextStream> stream_;
  TextWindow window_;
};

}  // namespace

std::unique_ptr<DataReader> make_stream_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                               std::vector<TextFile> files) {
  const TextIndex index = make_text_index(communicator, stream, options, split, files);
  std::unique_ptr<DataReader> reader;
  vote(communicator, [&] {
    reader =
        std::make_unique<StreamReader>(options, split, plan, communicator, std::move(files), index);
  });
  return reader;
}

}  // namespace keyshard
