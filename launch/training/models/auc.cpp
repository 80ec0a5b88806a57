#include "launch/training/models/auc.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "collectives/exchange.hpp"
#include "runtime/primitives.hpp"
#include "runtime/sort_pairs.hpp"

namespace keyshard {
namespace {

__extension__ typedef unsigned __int128 Wide;

double largest_weight(Span<const RankedSample> samples) {
  double largest = 0;
  for (const RankedSample& sample : samples) {
    largest = std::max(largest, std::abs(static_cast<double>(sample.weight)));
  }
  return largest;
}

/// Turns weights into integers: the largest weight of all samples has `kept` bits, few enough that
/// twice the product of both classes' totals fits 128 bits.
class WeightScale {
 public:
  WeightScale(double largest, std::int64_t samples) {
    const int kept = 62 - static_cast<int>(std::bit_width(static_cast<std::uint64_t>(samples)));
    exponent_ = kept - (largest > 0 ? std::ilogb(largest) + 1 : 0);
  }

  std::uint64_t units(float weight) const {
    return static_cast<std::uint64_t>(
        std::llround(std::ldexp(std::abs(static_cast<double>(weight)), exponent_)));
  }

 private:
  int exponent_ = 0;
};

/// The scale of the samples of all ranks. Collective.
WeightScale common_scale(Communicator<Cpu>& communicator,
                         const std::vector<RankedSample>& samples) {
  double largest = largest_weight(samples);
  communicator.all_reduce(Span<double>(&largest, 1), Reduction::max);
  std::int64_t count = static_cast<std::int64_t>(samples.size());
  communicator.all_reduce(Span<std::int64_t>(&count, 1), Reduction::sum);
  return {largest, count};
}

/// The values at which a partition by value begins new parts: ranks - 1 values out of a sample of
/// all values. The partition decides which rank counts a pair, never the result.
std::vector<std::uint32_t> splitters(Communicator<Cpu>& communicator,
                                     const std::vector<RankedSample>& sorted) {
  constexpr std::size_t kPerRank = 64;
  std::vector<std::uint32_t> mine(kPerRank, std::numeric_limits<std::uint32_t>::max());
  for (std::size_t i = 0; i < kPerRank && !sorted.empty(); ++i) {
    mine[i] = sorted[i * sorted.size() / kPerRank].key;
  }
  const std::size_t ranks = static_cast<std::size_t>(communicator.size());
  std::vector<std::uint32_t> all(kPerRank * ranks);
  communicator.all_gather(std::as_bytes(Span<const std::uint32_t>(mine)),
                          std::as_writable_bytes(Span<std::uint32_t>(all)));
  std::sort(all.begin(), all.end());
  std::vector<std::uint32_t> result;
  for (std::size_t r = 1; r < ranks; ++r) {
    result.push_back(all[r * kPerRank]);
  }
  return result;
}

/// Deals samples to ranks by value; equal values meet on one rank.
std::vector<RankedSample> deal_by_value(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                                        const std::vector<RankedSample>& sorted) {
  const std::vector<std::uint32_t> borders = splitters(communicator, sorted);
  std::vector<std::int64_t> counts;
  auto begin = sorted.begin();
  for (const std::uint32_t border : borders) {
    const auto end =
        std::lower_bound(begin, sorted.end(), border,
                         [](const RankedSample& a, std::uint32_t b) { return a.key < b; });
    counts.push_back(end - begin);
    begin = end;
  }
  counts.push_back(sorted.end() - begin);

  const Exchange<Cpu> exchange(communicator, counts);
  std::vector<RankedSample> received(static_cast<std::size_t>(exchange.received()));
  exchange.forward(stream, sorted.data(), received.data());
  sort_pairs(stream, Span<RankedSample>(received));
  return received;
}

struct Counts {
  std::uint64_t positive = 0;
  std::uint64_t negative = 0;
  std::uint64_t pairs_low = 0;  ///< twice the pairs won
  std::uint64_t pairs_high = 0;

  void add(const RankedSample& sample, const WeightScale& scale) {
    (sample.weight > 0 ? positive : negative) += scale.units(sample.weight);
  }
};

/// Twice the pairs won inside `sorted`, with `below` units of the negative class on ranks of
/// smaller values.
Wide pairs_won(Stream<Cpu>& stream, const std::vector<RankedSample>& sorted,
               const WeightScale& scale, std::uint64_t below) {
  const auto n = static_cast<std::int64_t>(sorted.size());
  const Buffer<std::uint32_t, Cpu> ties =
      unique(stream, n, [&](std::int64_t i) { return sorted[static_cast<std::size_t>(i)].key; });
  std::vector<Counts> tied(static_cast<std::size_t>(ties.size()));
  for_each(stream, ties.size(), [&](std::int64_t t) {
    const std::int64_t end = t + 1 == ties.size() ? n : ties[t + 1];
    for (std::int64_t i = ties[t]; i < end; ++i) {
      tied[static_cast<std::size_t>(t)].add(sorted[static_cast<std::size_t>(i)], scale);
    }
  });
  Wide won = 0;
  for (const Counts& counts : tied) {
    won += Wide{counts.positive} * (2 * Wide{below} + counts.negative);
    below += counts.negative;
  }
  return won;
}

double as_double(Wide number) {
  return std::ldexp(static_cast<double>(static_cast<std::uint64_t>(number >> 64)), 64) +
         static_cast<double>(static_cast<std::uint64_t>(number));
}

/// The share of pairs, of which `won` is twice the number; NaN without pairs.
double share_of_pairs(Wide won, const Counts& total) {
  if (total.positive == 0 || total.negative == 0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return as_double(won) / (2.0 * as_double(Wide{total.positive} * total.negative));
}

}  // namespace

RankedSample RankedSample::of(float logit, bool positive, float weight) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(logit + 0.0f);
  const std::uint32_t key = bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  return {key, positive ? weight : -weight};
}

double area_under_curve(Communicator<Cpu>& communicator, Stream<Cpu>& stream,
                        std::vector<RankedSample>& samples) {
  const WeightScale scale = common_scale(communicator, samples);
  sort_pairs(stream, Span<RankedSample>(samples));
  const std::vector<RankedSample> mine = deal_by_value(communicator, stream, samples);

  Counts own;
  for (const RankedSample& sample : mine) {
    own.add(sample, scale);
  }
  std::uint64_t below = 0;
  Counts total;
  const std::vector<Counts> of_ranks = communicator.gather_values(own);
  for (std::size_t r = 0; r < of_ranks.size(); ++r) {
    below += r < static_cast<std::size_t>(communicator.rank()) ? of_ranks[r].negative : 0;
    total.positive += of_ranks[r].positive;
    total.negative += of_ranks[r].negative;
  }
  const Wide won = pairs_won(stream, mine, scale, below);
  own.pairs_low = static_cast<std::uint64_t>(won);
  own.pairs_high = static_cast<std::uint64_t>(won >> 64);
  Wide all = 0;
  for (const Counts& counts : communicator.gather_values(own)) {
    all += (Wide{counts.pairs_high} << 64) + counts.pairs_low;
  }
  return share_of_pairs(all, total);
}

double area_under_curve(Span<const RankedSample> sorted) {
  const WeightScale scale(largest_weight(sorted), static_cast<std::int64_t>(sorted.size()));
  Counts total;
  Wide won = 0;
  for (auto sample = sorted.begin(); sample != sorted.end();) {
    Counts tied;
    const std::uint32_t key = sample->key;
    for (; sample != sorted.end() && sample->key == key; ++sample) {
      tied.add(*sample, scale);
    }
    won += Wide{tied.positive} * (2 * Wide{total.negative} + tied.negative);
    total.positive += tied.positive;
    total.negative += tied.negative;
  }
  return share_of_pairs(won, total);
}

}  // namespace keyshard
