// The nodes of a rank's run of slices, and in which of them a key occurs: the key has a partial sum
// for each of these nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "embedding/lookup/asker.hpp"
#include "runtime/copy.hpp"
#include "runtime/runs.hpp"

namespace keyshard {

/// For each slice of the rank's run: the first slice of its node, and the number of its node from
/// 0.
template <Backend B>
class SliceNodes {
 public:
  SliceNodes(Stream<B>& stream, Range run, std::int64_t slices)
      : firsts_(static_cast<std::size_t>(slices)), numbers_(static_cast<std::size_t>(slices)) {
    for (const Range& node : nodes_of(run)) {
      for (std::int64_t slice = node.begin; slice < node.end; ++slice) {
        firsts_[static_cast<std::size_t>(slice)] = static_cast<std::uint16_t>(node.begin);
        numbers_[static_cast<std::size_t>(slice)] = static_cast<std::uint16_t>(size_);
      }
      ++size_;
    }
    first_of_ = device_view<std::uint16_t>(stream, firsts_, first_storage_);
    number_of_ = device_view<std::uint16_t>(stream, numbers_, number_storage_);
  }

  std::int64_t size() const { return size_; }

  const std::uint16_t* first_of() const { return first_of_; }  ///< [slices], on the device

  const std::uint16_t* number_of() const { return number_of_; }  ///< [slices], on the device

 private:
  std::vector<std::uint16_t> firsts_, numbers_;
  std::int64_t size_ = 0;
  Buffer<std::uint16_t, B> first_storage_, number_storage_;
  const std::uint16_t* first_of_ = nullptr;
  const std::uint16_t* number_of_ = nullptr;
};

/// The nodes in which distinct keys occur.
struct KeyNodes {
  const std::uint32_t* offsets;
  const std::uint32_t* occurrences;
  const std::uint32_t* bag_of;  ///< null: the occurrence itself
  Divider by_features;
  const std::uint16_t* slice_of;
  const std::uint16_t* number_of;

  /// One bit for each node in which key u occurs.
  KEYSHARD_HD std::uint32_t mask(std::int64_t u) const {
    std::uint32_t bits = 0;
    for (std::uint32_t k = offsets[u]; k < offsets[u + 1]; ++k) {
      const std::uint32_t bag = bag_of == nullptr ? occurrences[k] : bag_of[occurrences[k]];
      bits |= 1u << number_of[slice_of[by_features.quotient(bag)]];
    }
    return bits;
  }
};

template <Backend B>
KeyNodes key_nodes(const LookupShape& shape, const AskerState<B>& asker,
                   const SliceNodes<B>& nodes) {
  return {.offsets = asker.distinct.offsets.data(),
          .occurrences = asker.distinct.occurrences.data(),
          .bag_of = asker.bag_of.empty() ? nullptr : asker.bag_of.data(),
          .by_features = Divider(static_cast<std::uint32_t>(shape.num_features())),
          .slice_of = asker.slice_of.data(),
          .number_of = nodes.number_of()};
}

}  // namespace keyshard
