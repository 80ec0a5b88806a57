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

StepPlan::StepPlan(std::int64_t records, const ReadPlan& plan, SliceCut cut,
                   const ReaderPosition& position)
    : records_(records),
      slices_(plan.slices),
      share_(plan.batch_size / plan.slices),
      cut_(cut),
      first_step_(position.step) {
  require(plan.batch_size > 0 && plan.batch_size % plan.slices == 0, Kind::invalid_argument,
          "expected a batch size that is a multiple of the {} slices: found {}", plan.slices,
          plan.batch_size);
  const std::int64_t left = records - consumed_by(position);
  const std::int64_t full = left / plan.batch_size;
  const std::int64_t rest = left - full * plan.batch_size;
  // No step reads a rest that is dropped: taken() ends with the last full step.
  dropped_ = plan.drop_last && (full > 0 || first_step_ > 0);
  const bool joined = full > 0 && rest < slices_;
  steps_ = first_step_ + full + (rest > 0 && !dropped_ && !joined ? 1 : 0);
}

std::int64_t StepPlan::consumed_by(const ReaderPosition& position) {
  if (position.step == 0) {
    return 0;
  }
  require(static_cast<std::int64_t>(position.consumed.size()) == slices_, Kind::invalid_argument,
          "expected a position of {} slices: found {}", slices_, position.consumed.size());
  // Slices differ only at the end of an epoch.
  consumed_ = position.consumed.front();
  std::int64_t consumed = 0;
  bool even = true, within = true;
  for (std::int64_t slice = 0; slice < slices_; ++slice) {
    const std::int64_t n = position.consumed[static_cast<std::size_t>(slice)];
    consumed += n;
    even = even && n == consumed_;
    within = within && n >= 0 && (cut_ == SliceCut::steps || n <= records_of(slice).size());
  }
  require(within && (consumed == records_ || (even && consumed < records_)), Kind::invalid_argument,
          "expected a position of the {} records of this data: found other records consumed at "
          "step {}",
          records_, position.step);
  return consumed;
}

Range StepPlan::records_of(std::int64_t slice) const { return run_of(slice, slices_, records_); }

std::int64_t StepPlan::last_begin(std::int64_t slice) const {
  return slice * (records_ - given(steps_ - 1) * slices_) / slices_;
}

Range StepPlan::taken(std::int64_t slice, std::int64_t step) const {
  if (cut_ == SliceCut::steps) {
    const std::int64_t begin = given(step);
    return {begin, begin + (is_last(step) ? last_begin(slice + 1) - last_begin(slice) : share_)};
  }
  const std::int64_t own = records_of(slice).size();
  return {std::min(own, given(step)), is_last(step) ? own : std::min(own, given(step + 1))};
}

std::int64_t StepPlan::sample_number(std::int64_t slice, std::int64_t step, std::int64_t i) const {
  if (!is_last(step)) {
    return slice * share_ + i;
  }
  if (cut_ == SliceCut::steps) {
    return last_begin(slice) + i;
  }
  const std::int64_t longest = (records_ + slices_ - 1) / slices_;
  return slice * (longest - std::min(longest, given(step))) + i;
}

std::int64_t StepPlan::stream_record(std::int64_t slice, std::int64_t step, std::int64_t i) const {
  return given(step) * slices_ + sample_number(slice, step, i);
}

}  // namespace keyshard
