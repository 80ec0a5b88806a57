#include "io/record_order.hpp"

#include <algorithm>
#include <numeric>

#include "runtime/error.hpp"
#include "runtime/hash.hpp"
#include "runtime/random.hpp"

namespace keyshard {

EpochOrder::EpochOrder(const std::vector<std::int64_t>& block_records, const ReadPlan& plan,
                       std::int64_t epoch)
    : blocks_(block_records.size()), starts_(block_records.size() + 1) {
  std::iota(blocks_.begin(), blocks_.end(), 0);
  if (plan.shuffle) {
    const auto rank = [&](std::int64_t block) {
      return std::pair(
          hash_of(plan.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(block)),
          block);
    };
    std::sort(blocks_.begin(), blocks_.end(),
              [&](std::int64_t a, std::int64_t b) { return rank(a) < rank(b); });
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    starts_[i + 1] = starts_[i] + block_records[static_cast<std::size_t>(blocks_[i])];
  }
}

std::vector<BlockPiece> EpochOrder::pieces(std::int64_t begin, std::int64_t end) const {
  std::vector<BlockPiece> result;
  auto at = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), begin) -
                                     starts_.begin()) -
            1;
  for (; begin < end; ++at) {
    const std::int64_t stop = std::min(end, starts_[at + 1]);
    if (begin < stop) {
      result.push_back({blocks_[at], begin - starts_[at], stop - begin});
    }
    begin = stop;
  }
  return result;
}

std::vector<std::uint32_t> window_order(const ReadPlan& plan, std::int64_t epoch,
                                        std::int64_t slice, std::int64_t window,
                                        std::int64_t count) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  if (!plan.shuffle) {
    return order;
  }
  // Fisher-Yates with numbers that are a function of the place.
  const std::uint64_t seed =
      hash_of(plan.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(slice),
              static_cast<std::uint64_t>(window));
  for (std::int64_t i = count - 1; i > 0; --i) {
    const std::uint32_t word = philox(seed, static_cast<std::uint64_t>(i), 0x5A4FF1E).word[0];
    const auto j =
        static_cast<std::size_t>(std::uint64_t{word} * static_cast<std::uint64_t>(i + 1) >> 32);
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

StepPlan::StepPlan(std::int64_t records, const ReadPlan& plan, Dealing dealing)
    : records_(records),
      slices_(plan.slices),
      share_(plan.batch_size / plan.slices),
      dealing_(dealing) {
  require(plan.batch_size > 0 && plan.batch_size % plan.slices == 0, Kind::invalid_argument,
          "expected a batch size that is a multiple of the {} slices: found {}", plan.slices,
          plan.batch_size);
  const std::int64_t full = records / plan.batch_size;
  const std::int64_t rest = records - full * plan.batch_size;
  const bool joined = full > 0 && (plan.drop_last || rest < plan.slices);
  steps_ = full + (rest > 0 && !joined ? 1 : 0);
  // The rest is read by nobody: taken() ends with the last full step.
  dropped_ = plan.drop_last && full > 0;
}

Range StepPlan::records_of(std::int64_t slice) const { return run_of(slice, slices_, records_); }

std::int64_t StepPlan::last_begin(std::int64_t slice) const {
  return slice * (records_ - (steps_ - 1) * share_ * slices_) / slices_;
}

Range StepPlan::taken(std::int64_t slice, std::int64_t step) const {
  if (dealing_ == Dealing::steps) {
    const std::int64_t begin = step * share_;
    return {begin, begin + (is_last(step) ? last_begin(slice + 1) - last_begin(slice) : share_)};
  }
  const std::int64_t own = records_of(slice).size();
  return {std::min(own, step * share_), is_last(step) ? own : std::min(own, (step + 1) * share_)};
}

std::int64_t StepPlan::sample_number(std::int64_t slice, std::int64_t step, std::int64_t i) const {
  if (!is_last(step)) {
    return slice * share_ + i;
  }
  if (dealing_ == Dealing::steps) {
    return last_begin(slice) + i;
  }
  const std::int64_t longest = (records_ + slices_ - 1) / slices_;
  return slice * (longest - std::min(longest, step * share_)) + i;
}

std::int64_t StepPlan::stream_record(std::int64_t slice, std::int64_t step, std::int64_t i) const {
  return step * share_ * slices_ + sample_number(slice, step, i);
}

}  // namespace keyshard
