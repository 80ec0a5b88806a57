#include "io/stream_reader.hpp"

#include <algorithm>

#include "io/sliced_reader.hpp"
#include "io/text_stream.hpp"
#include "io/text_window.hpp"
#include "io/vote.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBeat = 4096;  // records between two signs of life

/// What the pass that counts has found.
struct StreamCount {
  std::vector<TextStart> starts;
  std::int64_t records = 0;
  Digest128 digest;  // of the lengths of all records
};

TextStream open_stream(const DataOptions& options, Split split) {
  return {options.files(split), options.skipped(split), options.header};
}

StreamCount count_stream(const DataOptions& options, Split split, Progress& progress) {
  TextStream stream = open_stream(options, split);
  StreamCount count;
  std::vector<std::int64_t> file_records(options.files(split).size());
  Digest digest;
  std::string_view text;
  TextPlace place;
  while (stream.next(text, place)) {
    ++file_records[static_cast<std::size_t>(place.file)];
    digest.add(static_cast<std::uint64_t>(text.size()));
    if (++count.records % kBeat == 0) {
      progress.advance();
    }
  }
  for (std::size_t f = 0; f < file_records.size(); ++f) {
    require(file_records[f] > 0, Kind::bad_input, "{}: expected records: found none",
            options.files(split)[f]);
  }
  count.starts = stream.starts();
  count.digest = digest.result();
  return count;
}

class StreamReader final : public SlicedReader {
 public:
  StreamReader(const DataOptions& options, Split split, const ReadPlan& plan,
               Communicator<Cpu>& communicator, const StreamCount& count)
      : SlicedReader(options.schema(), {count.records}, plan, communicator, Dealing::steps),
        options_(options),
        split_(split),
        progress_(&communicator.progress()),
        digest_(count.digest),
        parser_(options, options.files(split), count.starts) {}

  Digest128 index_digest() const override { return digest_; }

 private:
  void place_changed() override {
    stream_.reset();
    window_.begin(-1);
  }

  void read_slice(std::int64_t slice, Range taken, Batch& batch) override {
    for (std::int64_t i = 0; i < taken.size(); ++i) {
      const std::int64_t at = steps().stream_record(slice, step(), i);
      while (window_.number() < at / options_.window) {
        load_next_window();
      }
      parser_.add(window_, at % options_.window, steps().sample_number(slice, step(), i), batch);
    }
  }

  /// Windows come one after another; those before the place that was sought are passed over.
  void load_next_window() {
    if (!stream_) {
      stream_ = std::make_unique<TextStream>(open_stream(options_, split_));
    }
    const std::int64_t number = window_.number() + 1;
    const std::int64_t size = std::min(options_.window, records() - number * options_.window);
    window_.begin(number);
    std::string_view text;
    TextPlace place;
    while (window_.size() < size && stream_->next(text, place)) {
      window_.add(text, place);
      if (window_.size() % kBeat == 0) {
        progress_->advance();
      }
    }
    require(window_.size() == size, Kind::bad_input,
            "{}: expected {} records: found {}; the data changed while it was read",
            options_.files(split_).back(), records(), number * options_.window + window_.size());
    window_.set_order(window_order(plan(), epoch(), 0, number, size));
  }

  DataOptions options_;
  Split split_;
  Progress* progress_;
  Digest128 digest_;
  WindowParser parser_;
  std::unique_ptr<TextStream> stream_;
  TextWindow window_;
};

}  // namespace

std::unique_ptr<DataReader> make_stream_reader(const DataOptions& options, Split split,
                                               const ReadPlan& plan,
                                               Communicator<Cpu>& communicator) {
  const InPhase phase(communicator.progress(), Phase::indexing);
  StreamCount count;
  vote(communicator, [&] { count = count_stream(options, split, communicator.progress()); });
  const std::vector<Digest128> all = communicator.gather_values(count.digest);
  require(std::count(all.begin(), all.end(), all.front()) == communicator.size(), Kind::bad_input,
          "expected the same files on all ranks: found other records on some of {} ranks",
          communicator.size());
  std::unique_ptr<DataReader> reader;
  vote(communicator,
       [&] { reader = std::make_unique<StreamReader>(options, split, plan, communicator, count); });
  return reader;
}

}  // namespace keyshard
