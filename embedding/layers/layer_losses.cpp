#include "embedding/layers/layer_losses.hpp"

#include <cstring>

#include "collectives/vote.hpp"
#include "runtime/error.hpp"
#include "runtime/joined.hpp"

namespace keyshard {
namespace {

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

}  // namespace

void LayerLosses::add(const std::vector<double>& losses, std::int64_t step) {
  if (step != step_) {
    numbers_.clear();
    step_ = step;
  }
  numbers_.insert(numbers_.end(), losses.begin(), losses.end());
}

std::vector<double> LayerLosses::read(Communicator<Cpu>& communicator, std::int64_t step) {
  add({}, step);
  std::vector<double> losses = numbers_;
  vote(communicator, [&] {
    for (const std::function<double()>& loss : callables_) {
      losses.push_back(loss());
    }
  });
  const std::vector<std::vector<double>> all =
      communicator.gather_lists(Span<const double>(losses));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (!same_bits(all[rank], all[0])) {
      fail(Kind::invalid_argument,
           "layer {}: expected the same losses on all ranks: found [{}] on rank 0 and [{}] on "
           "rank {}",
           layer_, joined(all[0], ", "), joined(all[rank], ", "), rank);
    }
  }
  return losses;
}

}  // namespace keyshard
