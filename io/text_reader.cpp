#include "io/text_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "io/record_order.hpp"
#include "io/text_index.hpp"
#include "io/text_record.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// One window of one slice: its records in the order in which they are read.
struct Window {
  std::int64_t number = -1;
  std::string bytes;
  std::vector<std::size_t> ends;  ///< of each record in `bytes`, in the order of the epoch
  std::vector<std::int64_t> records;
  std::vector<std::pair<std::int64_t, std::int64_t>> places;  ///< file and line of each
  std::vector<std::uint32_t> order;

  std::string_view record(std::size_t i) const {
    const std::size_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(bytes).substr(begin, ends[i] - begin);
  }

  void clear(std::int64_t next) {
    number = next;
    bytes.clear();
    ends.clear();
    records.clear();
    places.clear();
  }
};

class TextReader final : public DataReader {
 public:
  TextReader(const DataOptions& options, const ReadPlan& plan, Communicator<Cpu>& communicator,
             std::vector<std::unique_ptr<ByteSource>> sources, std::vector<TextStart> starts,
             TextIndex index)
      : options_(options),
        plan_(plan),
        progress_(&communicator.progress()),
        schema_(options.schema()),
        sources_(std::move(sources)),
        index_(std::move(index)),
        steps_(index_.records, plan),
        run_(run_of(communicator.rank(), communicator.size(), plan.slices)),
        windows_(static_cast<std::size_t>(run_.size())) {
    for (std::size_t f = 0; f < sources_.size(); ++f) {
      parsers_.emplace_back(options, starts[f].header,
                            fmt::format("{}:{}", sources_[f]->name(), starts[f].header_line));
    }
    begin_epoch(0);
  }

  const DataSchema& schema() const override { return schema_; }

  std::int64_t records() const override { return index_.records; }

  std::int64_t steps_per_epoch() const override { return steps_.steps(); }

  bool next(Batch& batch) override {
    batch.clear();
    batch.slices = run_;
    batch.dense_columns = static_cast<std::int64_t>(schema_.dense.size());
    batch.features = static_cast<std::int64_t>(schema_.features.size());
    batch.slice_offsets.push_back(0);
    batch.id_offsets.push_back(0);
    if (step_ == steps_.steps()) {
      begin_epoch(epoch_ + 1);
      return false;
    }
    for (std::int64_t slice = run_.begin; slice < run_.end; ++slice) {
      read_slice(slice, batch);
      batch.slice_offsets.push_back(batch.samples());
    }
    ++step_;
    return true;
  }

  ReaderPosition position() const override {
    ReaderPosition position{epoch_, step_, {}};
    for (std::int64_t slice = 0; slice < plan_.slices; ++slice) {
      position.consumed.push_back(step_ == 0 ? 0 : steps_.taken(slice, step_ - 1).end);
    }
    return position;
  }

  void seek(const ReaderPosition& position) override {
    require(position.epoch >= 0 && position.step >= 0 && position.step <= steps_.steps(),
            Kind::invalid_argument,
            "expected a position of at most {} steps in an epoch: found step {} of epoch {}",
            steps_.steps(), position.step, position.epoch);
    begin_epoch(position.epoch);
    step_ = position.step;
    require(
        this->position() == position, Kind::invalid_argument,
        "expected a position of this data and batch size: found other records consumed at step {}",
        position.step);
  }

  BadLines bad_lines() const override { return bad_; }

  Digest128 index_digest() const override { return index_.digest(); }

 private:
  void begin_epoch(std::int64_t epoch) {
    epoch_ = epoch;
    step_ = 0;
    order_ = std::make_unique<EpochOrder>(index_.block_records(), plan_, epoch);
    for (Window& window : windows_) {
      window.clear(-1);
    }
  }

  void read_slice(std::int64_t slice, Batch& batch) {
    const Range taken = steps_.taken(slice, step_);
    Window& window = windows_[static_cast<std::size_t>(slice - run_.begin)];
    for (std::int64_t at = taken.begin; at < taken.end; ++at) {
      if (at / options_.window != window.number) {
        load_window(slice, at / options_.window, window);
      }
      const std::uint32_t record = window.order[static_cast<std::size_t>(at % options_.window)];
      add_sample(window, record, steps_.sample_number(slice, step_, at - taken.begin), batch);
    }
  }

  void add_sample(const Window& window, std::uint32_t record, std::int64_t sample, Batch& batch) {
    const auto [file, line] = window.places[record];
    if (const auto problem =
            parsers_[static_cast<std::size_t>(file)].parse(window.record(record), batch)) {
      const std::string message = fmt::format(
          "{}:{}: {}", sources_[static_cast<std::size_t>(file)]->name(), line, *problem);
      ++bad_.count;
      if (bad_.first.size() < 10) {
        bad_.first.push_back(message);
      }
      require(bad_.count <= options_.max_bad_lines, Kind::bad_input,
              "{} (bad lines: {}, allowed: {})", message, bad_.count, options_.max_bad_lines);
      return;
    }
    batch.sample_numbers.push_back(sample);
    batch.records.push_back(window.records[record]);
  }

  void load_window(std::int64_t slice, std::int64_t number, Window& window) {
    const InPhase phase(*progress_, Phase::reading);
    const Range own = steps_.records_of(slice);
    const std::int64_t begin = own.begin + number * options_.window;
    const std::int64_t end = std::min(begin + options_.window, own.end);
    window.clear(number);
    for (const BlockPiece& piece : order_->pieces(begin, end)) {
      load_block(piece.block);
      for (std::int64_t i = piece.first; i < piece.first + piece.count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        window.bytes.append(block_.records[at]);
        window.ends.push_back(window.bytes.size());
        window.records.push_back(index_.first_records[static_cast<std::size_t>(piece.block)] + i);
        window.places.emplace_back(index_.blocks[static_cast<std::size_t>(piece.block)].file,
                                   block_.lines[at]);
      }
    }
    window.order = window_order(plan_, epoch_, slice, number, end - begin);
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
    for (std::size_t i = 0; i < block_.records.size(); ++i) {
      require(block_.records[i].find('\0') == std::string_view::npos, Kind::bad_input,
              "{}:{}: expected text: found a NUL byte, so a binary file", source.name(),
              block_.lines[i]);
    }
    block_number_ = block;
    progress_->advance();
  }

  DataOptions options_;
  ReadPlan plan_;
  Progress* progress_;
  DataSchema schema_;
  std::vector<std::unique_ptr<ByteSource>> sources_;
  std::vector<RecordParser> parsers_;
  TextIndex index_;
  StepPlan steps_;
  Range run_;
  std::vector<Window> windows_;
  std::unique_ptr<EpochOrder> order_;
  TextRecords block_;
  std::int64_t block_number_ = -1;
  std::int64_t epoch_ = 0;
  std::int64_t step_ = 0;
  BadLines bad_;
};

}  // namespace

std::unique_ptr<DataReader> make_text_reader(const DataOptions& options, Split split,
                                             const ReadPlan& plan, Communicator<Cpu>& communicator,
                                             Stream<Cpu>& stream,
                                             std::vector<std::unique_ptr<ByteSource>> sources) {
  std::vector<TextStart> starts;
  for (const auto& source : sources) {
    starts.push_back(find_start(*source, options.skipped(split), options.header));
  }
  TextIndex index = make_text_index(communicator, stream, sources, starts, options.block_bytes);
  ReadPlan own = plan;
  own.shuffle = plan.shuffle && options.shuffle;
  return std::make_unique<TextReader>(options, own, communicator, std::move(sources),
                                      std::move(starts), std::move(index));
}

}  // namespace keyshard
