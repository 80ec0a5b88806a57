#include "launch/bench/workload.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "launch/bench/random_draw.hpp"
#include "runtime/error.hpp"
#include "tests/support/scratch_folder.hpp"

namespace keyshard {
namespace {

// Expected numbers were made with numpy by the program that defines the workloads.

TEST(BenchWorkload, TheGeneratorIsThatOfItsPaper) {
  // pcg64_c of the PCG library's check: pcg64_srandom_r(&rng, 42, 54).
  Pcg64 random(42, 54);
  const std::uint64_t expected[] = {0x86b1da1d72062b68ull, 0x1304aa46c9853d39ull,
                                    0xa3670e9e0dd50358ull, 0xf9090e529a7dae00ull};
  for (const std::uint64_t number : expected) {
    EXPECT_EQ(random.next(), number);
  }
}

TEST(BenchWorkload, DrawsFollowTheThresholdsOfTheirWeights) {
  // Weights 1, 2, 1: a quarter of the numbers, a half, a quarter.
  const RankDraw draw({1, 2, 1});
  EXPECT_EQ(draw(0), 0u);
  EXPECT_EQ(draw((std::uint64_t{1} << 62) - 1), 0u);
  EXPECT_EQ(draw(std::uint64_t{1} << 62), 1u);
  EXPECT_EQ(draw(3 * (std::uint64_t{1} << 62) - 1), 1u);
  EXPECT_EQ(draw(3 * (std::uint64_t{1} << 62)), 2u);
  EXPECT_EQ(draw(~std::uint64_t{0}), 2u);
}

TEST(BenchWorkload, W1HasTheKeysLabelsAndNumbersOfItsDefinition) {
  const IdBatches w1 = workload_w1({"", 2, 0});
  ASSERT_EQ(w1.steps(), 2);
  EXPECT_EQ(w1.keys_of(0)[0], 0x198e1ca90e0c9b1aull);
  EXPECT_EQ(w1.keys_of(0)[1], 0x844afb9c66d99fc9ull);
  EXPECT_EQ(w1.keys_of(0)[7], 0x2effcad706470723ull);
  EXPECT_EQ(w1.keys_of(1)[0], 0x11081ea303edf267ull);
  EXPECT_EQ(w1.keys_of(1)[106495], 0x697df84e7bb611afull);
  const std::vector<float> labels{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
  EXPECT_EQ(std::vector<float>(w1.labels.begin(), w1.labels.begin() + 16), labels);
  EXPECT_EQ(w1.dense[0], 0x1.d1bbc0p-1f);
  EXPECT_EQ(w1.dense[3], 0x1.e3521p-4f);
  EXPECT_EQ(w1.dense.size(), std::size_t{2 * 4096 * 13});
}

TEST(BenchWorkload, W2LaysItsBagsOutSampleBySample) {
  const IdBatches w2 = workload_w2({"", 2, 0});
  EXPECT_EQ(w2.starts, (std::vector<std::int64_t>{0, 180157, 359361}));
  // Feature 0 has bags of 2, 8, 20, ... ids; feature 1 of 1, 9, 5, ...
  const auto offsets = w2.offsets_of(0);
  EXPECT_EQ(offsets[1] - offsets[0], 2);
  EXPECT_EQ(offsets[2] - offsets[1], 1);
  EXPECT_EQ(offsets[5] - offsets[4], 8);
  EXPECT_EQ(offsets[6] - offsets[5], 9);
  EXPECT_EQ(w2.keys_of(0)[0], 0x81ed9ba988492e60ull);
  EXPECT_EQ(w2.keys_of(0)[1], 0xeaad90f551c2aec8ull);
  EXPECT_EQ(w2.keys_of(0)[static_cast<std::size_t>(offsets[4])], 0xb6c54b32150a6313ull);
}

TEST(BenchWorkload, W3IsUniformOverItsKeys) {
  const IdBatches w3 = workload_w3({"", 1, 20'000'000});
  EXPECT_EQ(w3.keys_of(0)[0], 0x504b760b68950c40ull);
  EXPECT_EQ(w3.keys_of(0)[7], 0x4f77f83432009332ull);
  EXPECT_EQ(w3.table_keys[0], 0x30f8cba173b5e831ull);
  EXPECT_EQ(w3.table_keys[2], 0x25253989fe38f915ull);
}

TEST(BenchWorkload, FilesGiveWhatIsMade) {
  const testing::ScratchFolder scratch;
  const IdBatches made = workload_w3({"", 2, 1000});
  std::filesystem::create_directories(scratch.path("W3"));
  const auto write = [&](const char* name, const std::vector<Key>& keys) {
    std::ofstream(scratch.path("W3/") + name, std::ios::binary)
        .write(reinterpret_cast<const char*>(keys.data()),
               static_cast<std::streamsize>(keys.size() * sizeof(Key)));
  };
  write("ids.u64", made.keys);
  write("all_keys.u64", made.table_keys);
  const IdBatches read = workload_w3({scratch.path("."), 0, 0});
  EXPECT_EQ(read.keys, made.keys);
  EXPECT_EQ(read.starts, made.starts);
  EXPECT_EQ(read.table_keys, made.table_keys);
}

TEST(BenchWorkload, AMissingFileIsNamed) {
  try {
    workload_w1({"nowhere", 0, 0});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.text(), "nowhere/W1/ids.u64: cannot be opened");
  }
}

TEST(BenchWorkload, SharesOfRanksMakeTheWhole) {
  for (const IdBatches& whole : {workload_w1({"", 2, 0}), workload_w2({"", 2, 0})}) {
    const IdBatches parts[] = {share_of(whole, 0, 2), share_of(whole, 1, 2)};
    for (std::int64_t step = 0; step < 2; ++step) {
      std::vector<Key> keys;
      std::vector<std::int64_t> offsets{0};
      for (const IdBatches& part : parts) {
        const auto own = part.keys_of(step);
        const std::int64_t base = offsets.back();
        keys.insert(keys.end(), own.begin(), own.end());
        for (const std::int64_t offset : part.offsets_of(step).subspan(1)) {
          offsets.push_back(base + offset);
        }
      }
      const auto all = whole.keys_of(step);
      const auto all_offsets = whole.offsets_of(step);
      EXPECT_EQ(keys, std::vector<Key>(all.begin(), all.end()));
      EXPECT_EQ(offsets, std::vector<std::int64_t>(all_offsets.begin(), all_offsets.end()));
    }
  }
}

}  // namespace
}  // namespace keyshard
