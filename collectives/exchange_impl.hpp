// The bodies of Exchange, for any device.
#pragma once

#include <numeric>
#include <utility>

#include "collectives/exchange.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace exchange_detail {

inline std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

inline std::vector<std::int64_t> times(std::vector<std::int64_t> counts, std::int64_t bytes) {
  for (std::int64_t& count : counts) {
    count *= bytes;
  }
  return counts;
}

template <Backend B>
std::vector<std::int64_t> counts_of_peers(Communicator<B>& communicator,
                                          const std::vector<std::int64_t>& send_counts) {
  std::vector<std::int64_t> receive_counts(send_counts.size());
  communicator.all_to_all_values(send_counts, receive_counts);
  return receive_counts;
}

}  // namespace exchange_detail

template <Backend B>
Exchange<B>::Exchange(Communicator<B>& communicator, std::vector<std::int64_t> send_counts,
                      std::vector<std::int64_t> receive_counts)
    : communicator_(&communicator),
      send_counts_(std::move(send_counts)),
      receive_counts_(std::move(receive_counts)),
      sent_(exchange_detail::total(send_counts_)),
      received_(exchange_detail::total(receive_counts_)) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  require(send_counts_.size() == ranks && receive_counts_.size() == ranks, Kind::invalid_argument,
          "expected counts for {} ranks: found {} to send and {} to receive", ranks,
          send_counts_.size(), receive_counts_.size());
}

template <Backend B>
Exchange<B>::Exchange(Communicator<B>& communicator, std::vector<std::int64_t> send_counts)
    : Exchange(communicator, send_counts,
               exchange_detail::counts_of_peers(communicator, send_counts)) {}

template <Backend B>
void Exchange<B>::move(Stream<B>& stream, const void* from,
                       const std::vector<std::int64_t>& from_counts, void* to,
                       const std::vector<std::int64_t>& to_counts, std::int64_t item_bytes) const {
  const auto view = [&](auto* data, const std::vector<std::int64_t>& counts) {
    return std::span(data, static_cast<std::size_t>(exchange_detail::total(counts) * item_bytes));
  };
  communicator_->all_to_all(stream, view(static_cast<const std::byte*>(from), from_counts),
                            exchange_detail::times(from_counts, item_bytes),
                            view(static_cast<std::byte*>(to), to_counts),
                            exchange_detail::times(to_counts, item_bytes));
}

}  // namespace keyshard
