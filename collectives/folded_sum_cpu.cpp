#include <algorithm>
#include <cstring>

#include "collectives/exchange.hpp"
#include "collectives/folded_sum.hpp"
#include "runtime/error.hpp"
#include "runtime/fold.hpp"
#include "runtime/team.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kBlock =
    512;  // numbers that are folded together; one fold per number, so bits do not depend on it

/// The nodes of all ranks, in the order of slices, and whether each has a partial.
std::vector<std::vector<std::uint8_t>> gather_presence(Communicator<Cpu>& communicator,
                                                       std::int64_t slices,
                                                       const std::vector<std::uint8_t>& mine) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::size_t most = 1;
  std::vector<std::size_t> counts(ranks);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    counts[rank] =
        nodes_of(run_of(static_cast<std::int64_t>(rank), communicator.size(), slices)).size();
    most = std::max(most, counts[rank]);
  }
  std::vector<std::uint8_t> padded = mine;
  padded.resize(most);
  std::vector<std::uint8_t> all(most * ranks);
  communicator.all_gather(std::as_bytes(Span<const std::uint8_t>(padded)),
                          std::as_writable_bytes(Span<std::uint8_t>(all)));
  std::vector<std::vector<std::uint8_t>> present;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(rank * most);
    present.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(counts[rank]));
  }
  return present;
}

template <class T>
struct Term {
  std::int64_t slice;
  const T* data;  ///< the chunk of this rank
};

/// sum [n] = the fold of the terms, number by number.
template <class T>
void fold_terms(Stream<Cpu>& stream, const std::vector<Term<T>>& terms, std::int64_t n, T* sum) {
  stream.threads().for_tasks((n + kBlock - 1) / kBlock, [&](std::int64_t task, int) {
    const std::int64_t begin = task * kBlock, width = std::min(kBlock, n - begin);
    std::vector<T> stack(static_cast<std::size_t>(Fold<T>::kDepth * width));
    Fold<T> fold(stack.data(), width);
    for (const Term<T>& term : terms) {
      std::copy_n(term.data + begin, width, fold.push(Solo{}, term.slice));
    }
    const T* result = fold.finish(Solo{});
    if (result == nullptr) {
      std::fill_n(sum + begin, width, T{0});
    } else {
      std::copy_n(result, width, sum + begin);
    }
  });
}

/// Puts the chunks of each rank's part of the present partials one after another.
template <class T>
Buffer<T, Cpu> pack_chunks(Stream<Cpu>& stream, const std::vector<NodePartial<T>>& partials,
                           std::int64_t ranks, std::int64_t size,
                           std::vector<std::int64_t>& counts) {
  std::int64_t present = 0;
  for (const NodePartial<T>& partial : partials) {
    present += partial.data != nullptr;
  }
  Buffer<T, Cpu> packed(stream, present * size);
  T* to = packed.data();
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const Range chunk = run_of(rank, ranks, size);
    counts.push_back(present * chunk.size());
    for (const NodePartial<T>& partial : partials) {
      if (partial.data != nullptr) {
        to = std::copy_n(partial.data + chunk.begin, chunk.size(), to);
      }
    }
  }
  return packed;
}

template <class T>
void reduce_chunks(Communicator<Cpu>& communicator, Stream<Cpu>& stream, std::int64_t slices,
                   std::int64_t size, const std::vector<NodePartial<T>>& partials, T* sum) {
  const std::int64_t ranks = communicator.size();
  const Range chunk = run_of(communicator.rank(), ranks, size);
  std::vector<std::uint8_t> mine;
  for (const NodePartial<T>& partial : partials) {
    mine.push_back(partial.data != nullptr);
  }
  const auto present = gather_presence(communicator, slices, mine);

  std::vector<Term<T>> terms;
  Buffer<T, Cpu> packed, received;
  if (ranks > 1) {
    std::vector<std::int64_t> send_counts, receive_counts;
    packed = pack_chunks(stream, partials, ranks, size, send_counts);
    for (const auto& nodes : present) {
      receive_counts.push_back(std::count(nodes.begin(), nodes.end(), 1) * chunk.size());
    }
    const Exchange<Cpu> exchange(communicator, send_counts, receive_counts);
    received = {stream, exchange.received()};
    exchange.forward(stream, packed.data(), received.data());
  }
  const T* at = received.data();
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const std::vector<Range> nodes = nodes_of(run_of(rank, ranks, slices));
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      if (present[static_cast<std::size_t>(rank)][node] != 0) {
        terms.push_back({nodes[node].begin, ranks == 1 ? partials[node].data : at});
        at = ranks == 1 ? nullptr : at + chunk.size();
      }
    }
  }
  fold_terms(stream, terms, chunk.size(), sum);
}

template <class T>
void gather_all(Communicator<Cpu>& communicator, Stream<Cpu>& stream, std::int64_t size,
                T* vector) {
  const std::int64_t ranks = communicator.size();
  if (ranks == 1) {
    return;
  }
  const Range mine = run_of(communicator.rank(), ranks, size);
  Buffer<T, Cpu> copies(stream, mine.size() * ranks), all(stream, size);
  std::vector<std::int64_t> send_counts, receive_counts;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    std::copy_n(vector + mine.begin, mine.size(), copies.data() + rank * mine.size());
    send_counts.push_back(mine.size());
    receive_counts.push_back(run_of(rank, ranks, size).size());
  }
  Exchange<Cpu>(communicator, send_counts, receive_counts)
      .forward(stream, copies.data(), all.data());
  std::copy_n(all.data(), size, vector);
}

}  // namespace

template <class T, Backend B>
FoldedSum<T, B>::FoldedSum(Communicator<B>& communicator, std::int64_t slices, std::int64_t size)
    : communicator_(communicator),
      slices_(slices),
      size_(size),
      chunk_(run_of(communicator.rank(), communicator.size(), size)) {}

template <class T, Backend B>
void FoldedSum<T, B>::reduce(Stream<B>& stream, const std::vector<NodePartial<T>>& partials,
                             T* sum) {
  const std::vector<Range> nodes =
      nodes_of(run_of(communicator_.rank(), communicator_.size(), slices_));
  require(partials.size() == nodes.size(), Kind::invalid_argument,
          "expected a partial sum for each of {} nodes of this rank's slices: found {}",
          nodes.size(), partials.size());
  reduce_chunks(communicator_, stream, slices_, size_, partials, sum);
}

template <class T, Backend B>
void FoldedSum<T, B>::gather(Stream<B>& stream, T* vector) {
  gather_all(communicator_, stream, size_, vector);
}

template class FoldedSum<float, Cpu>;
template class FoldedSum<double, Cpu>;

double folded_scalar(Communicator<Cpu>& communicator, std::int64_t slices,
                     const std::vector<double>& terms, const std::vector<bool>& present) {
  const Range run = run_of(communicator.rank(), communicator.size(), slices);
  require(static_cast<std::int64_t>(terms.size()) == run.size() && terms.size() == present.size(),
          Kind::invalid_argument,
          "expected a term for each of the {} slices of this rank: found {}", run.size(),
          terms.size());

  struct Entry {
    double term;
    std::uint64_t present;
  };

  const std::int64_t most = (slices + communicator.size() - 1) / communicator.size();
  std::vector<Entry> mine(static_cast<std::size_t>(most)),
      all(mine.size() * static_cast<std::size_t>(communicator.size()));
  for (std::size_t i = 0; i < terms.size(); ++i) {
    mine[i] = {terms[i], present[i]};
  }
  communicator.all_gather(std::as_bytes(Span<const Entry>(mine)),
                          std::as_writable_bytes(Span<Entry>(all)));
  double stack[Fold<double>::kDepth];
  Fold<double> fold(stack, 1);
  for (std::int64_t rank = 0; rank < communicator.size(); ++rank) {
    const Range theirs = run_of(rank, communicator.size(), slices);
    for (std::int64_t slice = theirs.begin; slice < theirs.end; ++slice) {
      const Entry& entry = all[static_cast<std::size_t>(rank * most + slice - theirs.begin)];
      if (entry.present != 0) {
        *fold.push(Solo{}, slice) = entry.term;
      }
    }
  }
  const double* sum = fold.finish(Solo{});
  return sum == nullptr ? 0.0 : *sum;
}

}  // namespace keyshard
