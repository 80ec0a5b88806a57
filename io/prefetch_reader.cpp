#include "io/prefetch_reader.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

namespace keyshard {
namespace {

class PrefetchReader final : public AheadReader {
 public:
  PrefetchReader(std::unique_ptr<DataReader> reader, int depth)
      : reader_(std::move(reader)),
        depth_(static_cast<std::size_t>(depth)),
        position_(reader_->position()),
        steps_left_(reader_->steps_left()) {
    start();
  }

  ~PrefetchReader() override { stop(); }

  const DataSchema& schema() const override { return reader_->schema(); }

  std::int64_t records() const override { return reader_->records(); }

  std::int64_t steps_per_epoch() const override { return reader_->steps_per_epoch(); }

  std::int64_t steps_left() const override { return steps_left_; }

  ReadOrder order() const override { return reader_->order(); }

  std::string note() const override { return reader_->note(); }

  bool next(Batch& batch) override {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return !items_.empty(); });
    if (items_.front().error) {
      std::rethrow_exception(items_.front().error);  // the item stays, so later calls throw too
    }
    Item item = std::move(items_.front());
    items_.pop_front();
    lock.unlock();
    room_.notify_one();
    std::swap(batch, item.batch);
    position_ = std::move(item.position);
    steps_left_ = item.steps_left;
    lock.lock();
    spare_.push_back(std::move(item.batch));
    return item.more;
  }

  const Batch* peek() override {
    std::unique_lock lock(mutex_);
    for (std::size_t i = 0; i < 2; ++i) {
      ready_.wait(lock, [&] { return items_.size() > i; });
      if (items_[i].error) {
        std::rethrow_exception(items_[i].error);
      }
      if (items_[i].more) {
        return &items_[i].batch;
      }
    }
    return nullptr;
  }

  ReaderPosition position() const override { return position_; }

  void seek(const ReaderPosition& position) override {
    stop();
    reader_->seek(position);
    position_ = position;
    steps_left_ = reader_->steps_left();
    start();
  }

  std::vector<std::int64_t> block_records() const override { return reader_->block_records(); }

  Digest128 index_digest() const override { return reader_->index_digest(); }

  Digest128 content_digest() const override { return reader_->content_digest(); }

 private:
  struct Item {
    Batch batch;
    bool more = false;
    ReaderPosition position;
    std::int64_t steps_left = 0;
    std::exception_ptr error;
  };

  void start() {
    stopping_ = false;
    items_.clear();
    thread_ = std::thread([this] { work(); });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_one();
    thread_.join();
  }

  /// An end of an epoch in front is no batch that is ready.
  std::size_t most_items() const {
    return depth_ + (items_.empty() || items_.front().more ? 0 : 1);
  }

  void work() {
    for (;;) {
      Item item;
      {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return stopping_ || items_.size() < most_items(); });
        if (stopping_) {
          return;
        }
        if (!spare_.empty()) {
          item.batch = std::move(spare_.back());
          spare_.pop_back();
        }
      }
      try {
        item.more = reader_->next(item.batch);
        item.position = reader_->position();
        item.steps_left = reader_->steps_left();
      } catch (...) {
        item.error = std::current_exception();
      }
      const bool failed = item.error != nullptr;
      {
        const std::lock_guard lock(mutex_);
        items_.push_back(std::move(item));
      }
      ready_.notify_one();
      if (failed) {
        return;
      }
    }
  }

  std::unique_ptr<DataReader> reader_;
  std::size_t depth_;
  ReaderPosition position_;
  std::int64_t steps_left_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::condition_variable room_;
  std::deque<Item> items_;
  std::vector<Batch> spare_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<AheadReader> read_ahead(std::unique_ptr<DataReader> reader, int depth) {
  return std::make_unique<PrefetchReader>(std::move(reader), depth);
}

}  // namespace keyshard
