// What every reader shares, with numbers as records: epochs, steps, positions, the slices of a
// rank, and the calls to the derived reader.
#include "io/sliced_reader.hpp"

#include <map>
#include <mutex>
#include <random>

#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

using testing::run_ranks;

/// Record r of the epoch's order becomes a sample with record r and the epoch as label.
class NumberReader final : public SlicedReader {
 public:
  NumberReader(std::vector<std::int64_t> blocks, const ReadPlan& plan,
               const Communicator<Cpu>& communicator, SliceCut cut)
      : SlicedReader({{"x"}, {"c", "d"}, false}, std::move(blocks), plan, communicator, cut),
        cut_(cut) {}

  Digest128 index_digest() const override { return {}; }

  int places_changed = 0;

 private:
  void read_slice(std::int64_t slice, Range taken, Batch& batch) override {
    for (std::int64_t i = 0; i < taken.size(); ++i) {
      batch.records.push_back(cut_ == SliceCut::steps
                                  ? steps().stream_record(slice, step(), i)
                                  : steps().records_of(slice).begin + taken.begin + i);
      batch.sample_numbers.push_back(steps().sample_number(slice, step(), i));
      batch.labels.push_back(static_cast<float>(epoch()));
    }
  }

  void place_changed() override { ++places_changed; }

  SliceCut cut_;
};

/// Records of a step by sample number.
using Step = std::map<std::int64_t, std::int64_t>;

struct Setting {
  std::int64_t records, slices, batch_size;
  SliceCut cut;

  ReadPlan plan() const {
    ReadPlan plan;
    plan.slices = slices;
    plan.batch_size = batch_size;
    return plan;
  }

  NumberReader reader(const Communicator<Cpu>& communicator) const {
    return NumberReader({records / 2, records - records / 2}, plan(), communicator, cut);
  }
};

/// The steps of one epoch from a position on, put together from all ranks.
std::vector<Step> read_epoch(const Setting& setting, int ranks, const ReaderPosition& from = {}) {
  std::vector<Step> steps;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    NumberReader reader = setting.reader(communicator);
    if (from.step > 0) {
      reader.seek(from);
    }
    Batch batch;
    for (std::size_t s = 0; reader.next(batch); ++s) {
      const std::lock_guard lock(mutex);
      steps.resize(std::max(steps.size(), s + 1));
      for (std::size_t i = 0; i < batch.records.size(); ++i) {
        EXPECT_TRUE(steps[s].emplace(batch.sample_numbers[i], batch.records[i]).second);
      }
    }
  });
  return steps;
}

std::vector<Setting> many_settings() {
  std::vector<Setting> settings{{100, 4, 8, SliceCut::runs}, {100, 4, 8, SliceCut::steps}};
  std::mt19937 random(8);
  for (int i = 0; i < 30; ++i) {
    const std::int64_t slices = 1 + random() % 5, records = 1 + random() % 60;
    const std::int64_t share = 1 + random() % 4;
    settings.push_back(
        {records, slices, slices * share, random() % 2 == 0 ? SliceCut::runs : SliceCut::steps});
  }
  return settings;
}

TEST(SlicedReader, GivesTheSameStepsOnAnyNumberOfRanks) {
  for (const Setting& setting : many_settings()) {
    const std::vector<Step> expected = read_epoch(setting, 1);
    std::size_t samples = 0;
    for (const Step& step : expected) {
      samples += step.size();
    }
    ASSERT_EQ(samples, static_cast<std::size_t>(setting.records));
    for (const int ranks : {2, 3, 6}) {  // also more ranks than slices
      ASSERT_EQ(read_epoch(setting, ranks), expected) << ranks << " ranks";
    }
  }
}

TEST(SlicedReader, GoesOnFromThePositionAfterEveryStep) {
  for (const Setting& setting : many_settings()) {
    const std::vector<Step> whole = read_epoch(setting, 1);
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      NumberReader reader = setting.reader(communicator);
      Batch batch;
      for (std::size_t step = 1; reader.next(batch); ++step) {
        const ReaderPosition position = reader.position();
        ASSERT_EQ(position.step, static_cast<std::int64_t>(step));
        const std::vector<Step> rest = read_epoch(setting, 2, position);
        ASSERT_EQ(rest, std::vector<Step>(whole.begin() + static_cast<std::ptrdiff_t>(step),
                                          whole.end()));
      }
    });
  }
}

TEST(SlicedReader, CountsTheStepsOfItsEpochDown) {
  for (const Setting& setting : many_settings()) {
    run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
      NumberReader reader = setting.reader(communicator);
      const std::int64_t steps = reader.steps_per_epoch();
      EXPECT_EQ(reader.records(), setting.records);
      Batch batch;
      for (int epoch = 0; epoch < 3; ++epoch) {
        for (std::int64_t left = steps; left > 0; --left) {
          ASSERT_EQ(reader.steps_left(), left);
          ASSERT_TRUE(reader.next(batch));
          ASSERT_EQ(batch.labels.at(0), static_cast<float>(epoch));
        }
        ASSERT_EQ(reader.steps_left(), 0);
        ASSERT_FALSE(reader.next(batch));
        ASSERT_EQ(reader.position().epoch, epoch + 1);
        ASSERT_EQ(reader.position().step, 0);
      }
    });
  }
}

TEST(SlicedReader, ABatchHasTheSlicesOfItsRankAndTheWidthsOfTheSchema) {
  const Setting setting{100, 5, 10, SliceCut::runs};
  run_ranks(2, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    NumberReader reader = setting.reader(communicator);
    Batch batch;
    batch.labels = {1, 2, 3};  // of the step before
    ASSERT_TRUE(reader.next(batch));
    EXPECT_EQ(batch.slices, communicator.rank() == 0 ? (Range{0, 2}) : (Range{2, 5}));
    EXPECT_EQ(batch.dense_columns, 1);
    EXPECT_EQ(batch.features, 2);
    const std::vector<std::int64_t> two{0, 2, 4}, three{0, 2, 4, 6};
    EXPECT_EQ(batch.slice_offsets, communicator.rank() == 0 ? two : three);
    EXPECT_EQ(batch.id_offsets, std::vector<std::int64_t>{0});
  });
}

TEST(SlicedReader, TellsItsReaderWhenThePlaceChanges) {
  const Setting setting{20, 2, 4, SliceCut::runs};
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    NumberReader reader = setting.reader(communicator);
    Batch batch;
    while (reader.next(batch)) {
      EXPECT_EQ(reader.places_changed, 0);
    }
    EXPECT_EQ(reader.places_changed, 1);  // the next epoch
    reader.seek({0, 2, {4, 4}});
    EXPECT_EQ(reader.places_changed, 2);
    EXPECT_EQ(reader.position(), (ReaderPosition{0, 2, {4, 4}}));
  });
}

TEST(SlicedReader, RefusesPositionsThatAreNone) {
  const Setting setting{20, 2, 4, SliceCut::runs};
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    NumberReader reader = setting.reader(communicator);
    for (const ReaderPosition& position :
         {ReaderPosition{-1, 0, {}}, ReaderPosition{0, -1, {}}, ReaderPosition{0, 1, {2}},
          ReaderPosition{0, 1, {2, 3}}, ReaderPosition{0, 9, {18, 18}}}) {
      try {
        reader.seek(position);
        ADD_FAILURE() << "expected an error";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Kind::invalid_argument);
      }
    }
    EXPECT_EQ(reader.position(), (ReaderPosition{0, 0, {0, 0}}));
  });
}

TEST(ReadNext, IsInThePhaseOfReadingAndComesBack) {
  const Setting setting{4, 2, 4, SliceCut::runs};
  run_ranks(1, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    NumberReader reader = setting.reader(communicator);
    Batch batch;
    communicator.progress().enter(Phase::computing);
    const std::uint64_t before = communicator.progress().counter();
    EXPECT_TRUE(read_next(reader, batch, communicator.progress()));
    EXPECT_FALSE(read_next(reader, batch, communicator.progress()));
    EXPECT_EQ(communicator.progress().phase(), Phase::computing);
    EXPECT_GT(communicator.progress().counter(), before);
  });
}

}  // namespace
}  // namespace keyshard
