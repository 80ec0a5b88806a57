// The generator: known quality, and text files that hold the very same records.
#include "io/generated_reader.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/io/read_data.hpp"

namespace keyshard::testing {
namespace {

DataOptions generated(const GeneratorOptions& generator) {
  DataOptions options;
  options.format = DataFormat::generated;
  options.generator = generator;
  return options;
}

TEST(Generator, PlantsAModelWhoseBestAucIsBetween80And85Percent) {
  const double best = ClickGenerator(GeneratorOptions()).best_auc(Split::valid);
  EXPECT_GT(best, 0.80);
  EXPECT_LT(best, 0.85);
}

TEST(Generator, ClicksAsOftenAsItsModelSays) {
  const ClickGenerator generator{GeneratorOptions()};
  GeneratedRecord record;
  double expected = 0, clicks = 0, variance = 0;
  for (std::int64_t i = 0; i < 50'000; ++i) {
    generator.make(Split::train, i, record);
    const double p = 1 / (1 + std::exp(-record.logit));
    expected += p;
    variance += p * (1 - p);
    clicks += static_cast<double>(record.label);
  }
  EXPECT_NEAR(clicks, expected, 5 * std::sqrt(variance));
}

TEST(Generator, DrawsIdsByZipfsLawOverTheWholeRange) {
  GeneratorOptions options;
  options.zipf = 1;
  options.vocabulary = 1000;
  const ClickGenerator generator(options);
  GeneratedRecord record;
  std::map<Key, std::int64_t> counts;
  for (std::int64_t i = 0; i < 50'000; ++i) {
    generator.make(Split::train, i, record);
    ++counts[record.ids[3]];
  }
  std::vector<std::int64_t> sorted;
  std::int64_t high = 0;
  for (const auto& [id, count] : counts) {
    sorted.push_back(count);
    high += id >> 63 != 0;
  }
  std::sort(sorted.rbegin(), sorted.rend());
  // The most frequent of 1000 has share 1 / H(1000) = 1 / 7.4855; the tenth a tenth of it.
  EXPECT_NEAR(static_cast<double>(sorted[0]), 50'000 / 7.4855, 400);
  EXPECT_NEAR(static_cast<double>(sorted[9]), 5'000 / 7.4855, 150);
  EXPECT_NEAR(static_cast<double>(high) / static_cast<double>(counts.size()), 0.5, 0.1);
}

TEST(Generator, WritesTextThatReadsAsTheSameRecords) {
  GeneratorOptions generator;
  generator.records = 500;
  generator.features = 5;
  generator.ragged = 2;
  generator.dense = 3;
  const std::string path = write_text("train.tsv", "");
  write_generated_text(generator, Split::train, path);
  DataOptions text;
  text.train = {path};
  text.separator = std::string(1, '\t');
  text.columns = {make_column("click", 0, ColumnRole::label)};
  for (std::int64_t i = 1; i <= 3; ++i) {
    text.columns.push_back(make_column(fmt::format("I{}", i), i, ColumnRole::dense));
  }
  for (std::int64_t i = 1; i <= 5; ++i) {
    text.columns.push_back(
        make_column(fmt::format("C{}", i), 3 + i, i > 3 ? ColumnRole::ids : ColumnRole::id));
    text.columns.back().integer = true;
    text.columns.back().list_separator = std::string(1, ' ');
  }
  EXPECT_EQ(read_in_order(text), read_in_order(generated(generator)));
}

}  // namespace
}  // namespace keyshard::testing
