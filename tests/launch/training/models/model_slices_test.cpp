// The results of a slice follow from that slice alone, and not from its group, the slices before it
// or the number of threads.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/stream.hpp"
#include "tests/launch/training/models/model_problem.hpp"

namespace keyshard {
namespace {

using testing::kTypes;
using testing::make_problem;
using testing::Problem;
using testing::random_slice;
using testing::run_slice;
using testing::run_slices;
using testing::SliceData;
using testing::SliceRun;

TEST(ModelSlices, ASliceOfUnderEightSamplesHasNoStatistics) {
  Problem p = make_problem(ModelType::deepfm, 7);
  EXPECT_FALSE(p.model->has_statistics(7));
  EXPECT_TRUE(p.model->has_statistics(8));
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const float number :
       run_slice(*p.model, p.data, p.numbers(), p.context, workspace).batch_statistics) {
    EXPECT_TRUE(std::isnan(number)) << "written";
  }
}

TEST(ModelSlices, AnEmptySliceGivesZeroGradients) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const ModelType type : kTypes) {
    const Problem p = make_problem(type, 8);
    const SliceRun run =
        run_slice(*p.model, random_slice(p.shape, 0, 1), p.numbers(), p.context, workspace);
    EXPECT_EQ(run.losses[0], 0);
    EXPECT_EQ(run.parameters, std::vector<float>(p.parameters.size(), 0.0f)) << name_of(type);
  }
}

TEST(ModelSlices, BitsOfASliceDoNotDependOnThreadsOrOnSlicesBefore) {
  for (const ModelType type : kTypes) {
    Problem p = make_problem(type, 13);
    std::vector<std::vector<SliceRun>> runs;
    for (const int threads : {1, 2}) {
      Stream<Cpu> stream(threads);
      std::vector<Workspace<Cpu>> workspaces;
      for (int thread = 0; thread < threads; ++thread) {
        workspaces.emplace_back(stream);
      }
      std::vector<SliceRun> slices(9);
      stream.threads().for_tasks(9, [&](std::int64_t slice, int thread) {
        const SliceData data = random_slice(p.shape, 6 + slice, static_cast<unsigned>(slice));
        slices[static_cast<std::size_t>(slice)] = run_slice(
            *p.model, data, p.numbers(), p.context, workspaces[static_cast<std::size_t>(thread)]);
      });
      runs.push_back(std::move(slices));
    }
    for (std::size_t slice = 0; slice < 9; ++slice) {
      EXPECT_EQ(runs[0][slice].logits, runs[1][slice].logits);
      EXPECT_EQ(runs[0][slice].parameters, runs[1][slice].parameters);
      EXPECT_EQ(runs[0][slice].losses, runs[1][slice].losses);
    }
  }
}

/// Equal bits; places that neither run wrote hold the same NaN.
template <class T>
void expect_same_bits(const std::vector<T>& found, const std::vector<T>& expected,
                      const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  EXPECT_TRUE(found.empty() ||
              std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)) == 0)
      << what;
}

void append(std::vector<float>& to, const std::vector<float>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// The samples of two runs or slices behind each other.
template <class Columns>
void append_columns(Columns& to, const Columns& more) {
  append(to.factors, more.factors);
  append(to.linear, more.linear);
  append(to.dense, more.dense);
}

TEST(ModelSlices, SlicesInOneGroupHaveTheBitsThatEachHasAlone) {
  Stream<Cpu> stream;
  Workspace<Cpu> workspace(stream);
  for (const ModelType type : kTypes) {
    const Problem p = make_problem(type, 13);
    SliceData together;
    together.shape = p.shape;
    std::vector<std::int64_t> offsets{0};
    SliceRun alone;
    unsigned seed = 0;
    for (const std::int64_t samples : {9, 7, 0, 1, 0, 16, 8}) {  // with and without statistics
      const SliceData slice = random_slice(p.shape, samples, ++seed);
      append_columns(together, slice);
      append(together.labels, slice.labels);
      append(together.weights, slice.weights);
      together.numbers.insert(together.numbers.end(), slice.numbers.begin(), slice.numbers.end());
      offsets.push_back(together.samples += samples);

      const SliceRun run = run_slice(*p.model, slice, p.numbers(), p.context, workspace);
      append_columns(alone, run);
      append(alone.logits, run.logits);
      append(alone.parameters, run.parameters);
      append(alone.batch_statistics, run.batch_statistics);
      alone.losses.push_back(run.losses[0]);
    }
    const SliceRun group =
        run_slices(*p.model, together, offsets, p.numbers(), p.context, workspace);
    const std::string name = name_of(type);
    expect_same_bits(group.logits, alone.logits, name + " logits");
    expect_same_bits(group.factors, alone.factors, name + " factors");
    expect_same_bits(group.linear, alone.linear, name + " linear");
    expect_same_bits(group.dense, alone.dense, name + " dense");
    expect_same_bits(group.parameters, alone.parameters, name + " parameters");
    expect_same_bits(group.batch_statistics, alone.batch_statistics, name + " statistics");
    expect_same_bits(group.losses, alone.losses, name + " losses");
  }
}

}  // namespace
}  // namespace keyshard
