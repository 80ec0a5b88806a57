#include <numeric>

#include "collectives/exchange.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

std::vector<std::int64_t> times(std::vector<std::int64_t> counts, std::int64_t bytes) {
  for (std::int64_t& count : counts) {
    count *= bytes;
  }
  return counts;
}

}  // namespace

template <>
Exchange<Cpu>::Exchange(Communicator<Cpu>& communicator, std::vector<std::int64_t> send_counts,
                        std::vector<std::int64_t> receive_counts)
    : communicator_(&communicator),
      send_counts_(std::move(send_counts)),
      receive_counts_(std::move(receive_counts)),
      sent_(total(send_counts_)),
      received_(total(receive_counts_)) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  require(send_counts_.size() == ranks && receive_counts_.size() == ranks, Kind::invalid_argument,
          "expected counts for {} ranks: found {} to send and {} to receive", ranks,
          send_counts_.size(), receive_counts_.size());
}

template <>
Exchange<Cpu>::Exchange(Communicator<Cpu>& communicator, std::vector<std::int64_t> send_counts)
    : Exchange(communicator, send_counts, std::vector<std::int64_t>(send_counts.size())) {
  Stream<Cpu> stream;
  const std::vector<std::int64_t> ones(send_counts_.size(), 1);
  Exchange(communicator, ones, ones).forward(stream, send_counts_.data(), receive_counts_.data());
  received_ = total(receive_counts_);
}

template <>
void Exchange<Cpu>::move(Stream<Cpu>& stream, const void* from,
                         const std::vector<std::int64_t>& from_counts, void* to,
                         const std::vector<std::int64_t>& to_counts,
                         std::int64_t item_bytes) const {
  const auto view = [&](auto* data, const std::vector<std::int64_t>& counts) {
    return std::span(data, static_cast<std::size_t>(total(counts) * item_bytes));
  };
  communicator_->all_to_all(stream, view(static_cast<const std::byte*>(from), from_counts),
                            times(from_counts, item_bytes),
                            view(static_cast<std::byte*>(to), to_counts),
                            times(to_counts, item_bytes));
}

}  // namespace keyshard
