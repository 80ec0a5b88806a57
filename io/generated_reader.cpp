#include "io/generated_reader.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "io/sliced_reader.hpp"
#include "runtime/digest.hpp"
#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/portable_math.hpp"
#include "runtime/random.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kHidden = 4;   // numbers of an id in the planted pairwise part
constexpr std::int64_t kMostIds = 8;  // of a ragged bag
constexpr std::int64_t kBlock = 256;  // records that stay together in a shuffle
constexpr double kIdScale = 1.5, kPairScale = 0.5, kDenseScale = 0.6, kBias = -1.2;

/// A word as a uniform number of mean 0 and variance 1: cheaper than a normal number, and as good
/// for a planted model.
double unit_variance(std::uint32_t word) {
  return ((static_cast<double>(word) + 0.5) * 0x1p-32 - 0.5) * 3.4641016151377544;
}

std::int64_t records_of(const GeneratorOptions& options, Split split) {
  return split == Split::train ? options.records : options.valid_records;
}

double sigmoid(double x) { return 1.0 / (1.0 + portable_exp(-std::clamp(x, -60.0, 60.0))); }

/// What the ids of a record add to its logit: an effect of each id, and the product of hidden
/// numbers of each pair.
struct Planted {
  double linear = 0;
  double sum[kHidden] = {};
  double square[kHidden] = {};

  void add(std::uint64_t seed, std::int64_t feature, std::int64_t rank, double share) {
    const auto f = static_cast<std::uint64_t>(feature), r = static_cast<std::uint64_t>(rank);
    linear += share * unit_variance(philox(seed + 1, f, r).word[0]);
    const Random4 hidden = philox(seed + 2, f, r);
    for (std::int64_t k = 0; k < kHidden; ++k) {
      const double v = share * unit_variance(hidden.word[k]);
      sum[k] += v;
      square[k] += v * v;
    }
  }

  double logit(double features) const {
    double pairs = 0;
    for (std::int64_t k = 0; k < kHidden; ++k) {
      pairs += 0.5 * (sum[k] * sum[k] - square[k]);
    }
    const double pair_count = std::max(1.0, features * (features - 1) / 2 * kHidden);
    return kIdScale * linear / portable_sqrt(features) +
           kPairScale * pairs / portable_sqrt(pair_count);
  }
};

}  // namespace

ClickGenerator::ClickGenerator(const GeneratorOptions& options) : options_(options) {
  double sum = 0;
  for (std::int64_t rank = 0; rank < options.vocabulary; ++rank) {
    sum += 1.0 / portable_power(static_cast<double>(rank + 1), std::max(options.zipf, 1e-9));
    cumulative_.push_back(sum);
  }
  for (double& c : cumulative_) {
    c /= sum;
  }
  for (std::int64_t d = 0; d < options.dense; ++d) {
    dense_weights_.push_back(static_cast<float>(
        unit_variance(philox(options.seed, static_cast<std::uint64_t>(d), 1).word[0])));
  }
}

std::int64_t ClickGenerator::records(Split split) const { return records_of(options_, split); }

std::int64_t ClickGenerator::draw_rank(std::uint32_t word) const {
  const double u = (static_cast<double>(word) + 0.5) * 0x1p-32;
  return std::min<std::int64_t>(
      std::lower_bound(cumulative_.begin(), cumulative_.end(), u) - cumulative_.begin(),
      options_.vocabulary - 1);
}

void ClickGenerator::make(Split split, std::int64_t record, GeneratedRecord& out) const {
  const std::uint64_t seed = hash_of(options_.seed, static_cast<std::uint64_t>(split), 0x6E4);
  const auto number = static_cast<std::uint64_t>(record);
  out.dense.clear();
  out.ids.clear();
  out.id_counts.clear();
  Planted sums;
  for (std::int64_t f = 0; f < options_.features; ++f) {
    const bool ragged = f >= options_.features - options_.ragged;
    const auto word = [&](std::int64_t i) {
      return philox(seed, number, static_cast<std::uint64_t>(f * 64 + i / 4)).word[i % 4];
    };
    const std::int64_t count = ragged ? static_cast<std::int64_t>(word(0) % (kMostIds + 1)) : 1;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t rank = draw_rank(word(i + 1));
      out.ids.push_back(
          mix64((static_cast<std::uint64_t>(f) + 1) << 32 | static_cast<std::uint64_t>(rank)));
      sums.add(options_.seed, f, rank, 1.0 / static_cast<double>(count));
    }
    out.id_counts.push_back(count);
  }
  double dense = 0;
  for (std::int64_t d = 0; d < options_.dense; ++d) {
    const double x =
        unit_variance(philox(seed + 1, number, static_cast<std::uint64_t>(d / 4)).word[d % 4]);
    out.dense.push_back(static_cast<float>(x));
    dense += x * static_cast<double>(dense_weights_[static_cast<std::size_t>(d)]);
  }
  out.logit = kBias + sums.logit(static_cast<double>(options_.features));
  out.logit += options_.dense == 0
                   ? 0
                   : kDenseScale * dense / portable_sqrt(static_cast<double>(options_.dense));
  const double u = (static_cast<double>(philox(seed + 2, number, 0).word[0]) + 0.5) * 0x1p-32;
  out.label = u < sigmoid(out.logit) ? 1.0f : 0.0f;
}

double ClickGenerator::best_auc(Split split) const {
  std::vector<std::pair<double, float>> scored;
  GeneratedRecord record;
  for (std::int64_t i = 0; i < records(split); ++i) {
    make(split, i, record);
    scored.emplace_back(record.logit, record.label);
  }
  std::sort(scored.begin(), scored.end());
  // Mann-Whitney: pairs of a click above a non-click; ties count one half.
  double positives = 0, negatives = 0, pairs = 0;
  for (std::size_t i = 0; i < scored.size();) {
    double clicks = 0, others = 0;
    std::size_t j = i;
    for (; j < scored.size() && scored[j].first == scored[i].first; ++j) {
      (scored[j].second > 0 ? clicks : others) += 1;
    }
    pairs += clicks * (negatives + others / 2);
    positives += clicks;
    negatives += others;
    i = j;
  }
  return pairs / (positives * negatives);
}

namespace {

DataSchema schema_of(const GeneratorOptions& options) {
  DataOptions data;
  data.format = DataFormat::generated;
  data.generator = options;
  return data.schema();
}

std::vector<std::int64_t> blocks_of(std::int64_t records) {
  std::vector<std::int64_t> blocks;
  for (std::int64_t left = records; left > 0; left -= kBlock) {
    blocks.push_back(std::min(left, kBlock));
  }
  return blocks;
}

class GeneratedReader final : public SlicedReader {
 public:
  GeneratedReader(const GeneratorOptions& options, Split split, const ReadPlan& plan,
                  Communicator<Cpu>& communicator)
      : SlicedReader(schema_of(options), blocks_of(records_of(options, split)), plan, communicator),
        generator_(options),
        split_(split),
        digest_(Digest()
                    .add(options.seed)
                    .add(static_cast<std::uint64_t>(generator_.records(split)))
                    .result()) {}

  Digest128 index_digest() const override { return digest_; }

 private:
  void read_slice(std::int64_t slice, Range taken, Batch& batch) override {
    const std::int64_t first = steps().records_of(slice).begin;
    std::int64_t sample = steps().sample_number(slice, step(), 0);
    for (const BlockPiece& piece : epoch_order().pieces(first + taken.begin, first + taken.end)) {
      for (std::int64_t i = 0; i < piece.count; ++i, ++sample) {
        add(piece.block * kBlock + piece.first + i, sample, batch);
      }
    }
  }

  void add(std::int64_t record, std::int64_t sample, Batch& batch) {
    generator_.make(split_, record, record_);
    batch.labels.push_back(record_.label);
    batch.dense.insert(batch.dense.end(), record_.dense.begin(), record_.dense.end());
    batch.ids.insert(batch.ids.end(), record_.ids.begin(), record_.ids.end());
    for (const std::int64_t count : record_.id_counts) {
      batch.id_offsets.push_back(batch.id_offsets.back() + count);
    }
    batch.sample_numbers.push_back(sample);
    batch.records.push_back(record);
  }

  ClickGenerator generator_;
  Split split_;
  Digest128 digest_;
  GeneratedRecord record_;
};

}  // namespace

std::unique_ptr<DataReader> make_generated_reader(const GeneratorOptions& options, Split split,
                                                  const ReadPlan& plan,
                                                  Communicator<Cpu>& communicator) {
  return std::make_unique<GeneratedReader>(options, split, plan, communicator);
}

void write_generated_text(const GeneratorOptions& options, Split split, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  require(file != nullptr, Kind::io, "{}: cannot be written", path);
  const ClickGenerator generator(options);
  GeneratedRecord record;
  bool written = true;
  for (std::int64_t i = 0; i < generator.records(split); ++i) {
    generator.make(split, i, record);
    std::string line = record.label > 0 ? "1" : "0";
    for (const float x : record.dense) {
      line += fmt::format("\t{}", x);
    }
    std::size_t at = 0;
    for (const std::int64_t count : record.id_counts) {
      line += '\t';
      for (std::int64_t k = 0; k < count; ++k, ++at) {
        line += fmt::format("{}{}", k == 0 ? "" : " ", record.ids[at]);
      }
    }
    line += '\n';
    written = written && std::fwrite(line.data(), 1, line.size(), file) == line.size();
  }
  written = std::fclose(file) == 0 && written;
  require(written, Kind::io, "{}: cannot be written whole: is the disk full?", path);
}

}  // namespace keyshard
