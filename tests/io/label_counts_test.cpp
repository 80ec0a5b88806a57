// Labels of one class are told, with what leads out.
#include "io/label_counts.hpp"

#include <gtest/gtest.h>

#include "tests/support/ranks.hpp"

namespace keyshard {
namespace {

/// What is told of these labels, of which each rank has those of its number and `ranks` further on.
std::string told(const std::vector<float>& labels, const DataOptions& options, int ranks) {
  std::string told;
  testing::run_ranks(ranks, 1, [&](Communicator<Cpu>& communicator, Stream<Cpu>&) {
    LabelCounts counts;
    Batch batch;
    for (std::size_t i = static_cast<std::size_t>(communicator.rank()); i < labels.size();
         i += static_cast<std::size_t>(ranks)) {
      batch.labels.push_back(labels[i]);
    }
    counts.add(batch);
    const std::string own = counts.problem(communicator, options, Split::valid);
    if (communicator.rank() == ranks - 1) {
      told = own;
    }
  });
  return told;
}

TEST(LabelCounts, OfBothClassesOrNoneSayNothing) {
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(told({0, 1}, {}, ranks), "");
    EXPECT_EQ(told({1, 1, 1, 0}, {}, ranks), "");
    EXPECT_EQ(told({}, {}, ranks), "");
  }
}

TEST(LabelCounts, OfOneClassSayWhich) {
  for (const int ranks : {1, 2, 3}) {
    EXPECT_EQ(told({0, 0.5f, 0}, {}, ranks),
              "data.valid: all 3 labels are of one class: none is above 1/2");
    EXPECT_EQ(told({1, 1}, {}, ranks),
              "data.valid: all 2 labels are of one class: all are above 1/2");
  }
}

TEST(LabelCounts, NameThePositiveThatNoCellHas) {
  DataOptions options;
  options.columns.resize(1);
  options.columns[0].name = "click";
  options.columns[0].role = ColumnRole::label;
  options.columns[0].positive = {"yes", "y"};
  EXPECT_EQ(
      told({0, 0, 0}, options, 2),
      "data.valid: no cell of column \"click\" is one of positive = [\"yes\", \"y\"], so all 3 "
      "labels are 0");
}

}  // namespace
}  // namespace keyshard
