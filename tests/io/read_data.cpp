#include "tests/io/read_data.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/bad_lines.hpp"
#include "io/make_reader.hpp"
#include "io/prefetch_reader.hpp"
#include "runtime/error.hpp"
#include "tests/support/ranks.hpp"

namespace keyshard::testing {
namespace {

Sample sample_of(const Batch& batch, std::int64_t s) {
  const auto at = static_cast<std::size_t>(s);
  Sample sample;
  sample.record = batch.records[at];
  sample.label = batch.labels[at];
  sample.weight = batch.weights.empty() ? 1 : batch.weights[at];
  const float* dense = batch.dense.data() + s * batch.dense_columns;
  sample.dense.assign(dense, dense + batch.dense_columns);
  for (std::int64_t f = 0; f < batch.features; ++f) {
    const auto bag = static_cast<std::size_t>(s * batch.features + f);
    sample.bags.emplace_back(batch.ids.begin() + batch.id_offsets[bag],
                             batch.ids.begin() + batch.id_offsets[bag + 1]);
    if (!batch.id_weights.empty()) {
      sample.id_weights.emplace_back(batch.id_weights.begin() + batch.id_offsets[bag],
                                     batch.id_weights.begin() + batch.id_offsets[bag + 1]);
    }
  }
  return sample;
}

void add_batch(const Batch& batch, StepSamples& step) {
  ASSERT_EQ(batch.slice_offsets.size(), static_cast<std::size_t>(batch.slices.size() + 1));
  ASSERT_EQ(batch.slice_offsets.back(), batch.samples());
  for (std::int64_t s = 0; s < batch.samples(); ++s) {
    const std::int64_t number = batch.sample_numbers[static_cast<std::size_t>(s)];
    ASSERT_TRUE(step.emplace(number, sample_of(batch, s)).second) << "sample " << number;
  }
}

}  // namespace

std::vector<StepSamples> read_steps(const DataOptions& options, Split split, const ReadPlan& plan,
                                    int ranks, const Stretch& stretch, ReaderPosition* end) {
  std::vector<StepSamples> steps;
  std::mutex mutex;
  run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>& stream) {
    auto reader = make_reader(options, split, plan, communicator, stream);
    if (stretch.read_ahead > 0) {
      reader = read_ahead(std::move(reader), stretch.read_ahead);
    }
    if (stretch.seek) {
      reader->seek(stretch.from);
    }
    BadLines bad_lines(options.max_bad_lines);
    Batch batch;
    for (std::int64_t i = 0; stretch.steps < 0 || i < stretch.steps;) {
      if (!reader->next(batch)) {
        if (stretch.steps < 0) {
          break;
        }
        bad_lines.begin_epoch();
        continue;
      }
      bad_lines.add(communicator, batch);
      const std::lock_guard lock(mutex);
      steps.resize(std::max(steps.size(), static_cast<std::size_t>(i + 1)));
      add_batch(batch, steps[static_cast<std::size_t>(i++)]);
    }
    if (end != nullptr && communicator.rank() == 0) {
      *end = reader->position();
    }
  });
  return steps;
}

std::vector<Sample> read_in_order(DataOptions options, Split split) {
  options.shuffle = false;
  ReadPlan plan;
  plan.batch_size = std::int64_t{1} << 20;
  plan.slices = 1;
  std::vector<Sample> samples;
  for (const StepSamples& step : read_steps(options, split, plan, 1)) {
    for (const auto& [number, sample] : step) {
      samples.push_back(sample);
    }
  }
  return samples;
}

std::string complaint(const DataOptions& options) {
  try {
    read_in_order(options);
  } catch (const Error& error) {
    return error.text();
  }
  return "";
}

std::string write_text(const std::string& name, const std::string& content) {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string test = fmt::format("{}-{}", info->test_suite_name(), info->name());
  std::replace(test.begin(), test.end(), '/', '-');  // names of parametrized tests have '/'
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("keyshard-{}-{}", getpid(), test);
  std::filesystem::create_directories(folder);
  const std::string path = (folder / name).string();
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

ColumnOptions make_column(const std::string& name, std::int64_t index, ColumnRole role) {
  ColumnOptions column;
  column.name = name;
  column.key_space = name;
  column.index = index;
  column.role = role;
  return column;
}

}  // namespace keyshard::testing
