// Reading ahead: batches and errors of the reader arrive in order.
#include "io/prefetch_reader.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/io/read_data.hpp"

namespace keyshard::testing {
namespace {

/// Counts its steps; the fourth of five fails, until a seek.
class CountingReader final : public DataReader {
 public:
  const DataSchema& schema() const override { return schema_; }

  std::int64_t records() const override { return 5; }

  std::int64_t steps_per_epoch() const override { return 5; }

  std::int64_t steps_left() const override { return 5 - step_; }

  bool next(Batch& batch) override {
    batch.clear();
    if (step_ == 5) {
      step_ = 0;
      ++epoch_;
      return false;
    }
    require(step_ != 3 || sought_, Kind::bad_input, "the fourth step is bad");
    batch.labels.push_back(static_cast<float>(step_++));
    return true;
  }

  ReaderPosition position() const override { return {epoch_, step_, {}}; }

  void seek(const ReaderPosition& position) override {
    epoch_ = position.epoch;
    step_ = position.step;
    sought_ = true;
  }

  std::vector<std::int64_t> block_records() const override { return {5}; }

  Digest128 index_digest() const override { return {}; }

 private:
  DataSchema schema_;
  std::int64_t epoch_ = 0;
  std::int64_t step_ = 0;
  bool sought_ = false;
};

TEST(PrefetchReader, HasThePositionOfWhatWasDelivered) {
  for (const int depth : {1, 2, 7}) {
    const auto reader = read_ahead(std::make_unique<CountingReader>(), depth);
    Batch batch;
    EXPECT_EQ(reader->position(), (ReaderPosition{0, 0, {}}));
    for (std::int64_t step = 0; step < 3; ++step) {
      ASSERT_TRUE(reader->next(batch));
      EXPECT_EQ(batch.labels[0], static_cast<float>(step));
      EXPECT_EQ(reader->position(), (ReaderPosition{0, step + 1, {}}));
    }
  }
}

TEST(PrefetchReader, ThrowsFromTheStepThatFailedAndFromThoseAfterIt) {
  const auto reader = read_ahead(std::make_unique<CountingReader>(), 4);
  Batch batch;
  for (int step = 0; step < 3; ++step) {
    ASSERT_TRUE(reader->next(batch));
  }
  EXPECT_THROW(reader->next(batch), Error);
  EXPECT_THROW(reader->next(batch), Error);
  EXPECT_EQ(reader->position().step, 3);
}

TEST(PrefetchReader, GoesOnAtThePlaceThatIsSought) {
  const auto reader = read_ahead(std::make_unique<CountingReader>(), 3);
  Batch batch;
  ASSERT_TRUE(reader->next(batch));
  reader->seek({7, 2, {}});
  for (std::int64_t step = 2; step < 5; ++step) {
    ASSERT_TRUE(reader->next(batch));
    EXPECT_EQ(batch.labels[0], static_cast<float>(step));
  }
  EXPECT_FALSE(reader->next(batch));
  EXPECT_EQ(reader->position(), (ReaderPosition{8, 0, {}}));
}

/// The end of an epoch is no batch: the first one behind it is next.
TEST(PrefetchReader, ShowsTheNextBatchAndStaysWhereItIs) {
  for (const int depth : {1, 2, 5}) {
    const auto reader = read_ahead(std::make_unique<CountingReader>(), depth);
    reader->seek({0, 2, {}});
    Batch batch;
    for (const std::int64_t step : {2, 3, 4, 0, 1}) {
      const std::int64_t before = reader->position().step;
      const Batch* next = reader->peek();
      ASSERT_NE(next, nullptr);
      EXPECT_EQ(next->labels, std::vector<float>{static_cast<float>(step)});
      EXPECT_EQ(reader->position().step, before);
      const float* labels = next->labels.data();
      EXPECT_EQ(reader->next(batch), step > 0);
      if (step == 0) {
        ASSERT_TRUE(reader->next(batch));
      }
      EXPECT_EQ(batch.labels.data(), labels);
    }
    EXPECT_EQ(reader->position(), (ReaderPosition{1, 2, {}}));
  }
}

TEST(PrefetchReader, ShowsTheErrorOfTheNextBatchWithoutTakingIt) {
  const auto reader = read_ahead(std::make_unique<CountingReader>(), 2);
  Batch batch;
  for (int step = 0; step < 3; ++step) {
    ASSERT_TRUE(reader->next(batch));
  }
  EXPECT_THROW(reader->peek(), Error);
  EXPECT_EQ(reader->position().step, 3);
  EXPECT_THROW(reader->next(batch), Error);
}

TEST(PrefetchReader, EndsWhileBatchesAreStillReady) {
  for (int i = 0; i < 50; ++i) {
    const auto reader = read_ahead(std::make_unique<CountingReader>(), 1 + i % 3);
    Batch batch;
    reader->next(batch);
  }
}

}  // namespace
}  // namespace keyshard::testing
