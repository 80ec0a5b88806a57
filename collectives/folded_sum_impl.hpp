// The bodies of FoldedSum and folded_scalar, for any device.
#pragma once

#include <algorithm>
#include <utility>

#include "collectives/exchange.hpp"
#include "collectives/folded_sum.hpp"
#include "runtime/copy.hpp"
#include "runtime/error.hpp"
#include "runtime/fold.hpp"
#include "runtime/fold_vectors.hpp"
#include "runtime/for_each.hpp"

namespace keyshard {
namespace folded_sum_detail {

/// `size` numbers to be copied to another place on the device.
template <class T>
struct Part {
  const T* from;
  std::int64_t size;
  T* to;
};

/// Copies one block of part i / blocks.
template <class T>
struct CopyParts {
  static constexpr std::int64_t kBlock = 4096;

  const Part<T>* parts;
  std::int64_t blocks;  ///< of the longest part

  std::int64_t work() const { return kBlock / 4; }

  template <class Team>
  KEYSHARD_HD void operator()(std::int64_t i, const Team& team) const {
    const Part<T>& part = parts[i / blocks];
    const std::int64_t begin = i % blocks * kBlock;
    const std::int64_t end = begin + kBlock < part.size ? begin + kBlock : part.size;
    const T* KEYSHARD_RESTRICT from = part.from;
    T* KEYSHARD_RESTRICT to = part.to;
    for (std::int64_t d = begin + team.thread_rank(); d < end; d += team.num_threads()) {
      to[d] = from[d];
    }
  }
};

template <class T, Backend B>
void copy_parts(Stream<B>& stream, const std::vector<Part<T>>& parts) {
  std::int64_t longest = 0;
  for (const Part<T>& part : parts) {
    longest = std::max(longest, part.size);
  }
  const std::int64_t blocks = (longest + CopyParts<T>::kBlock - 1) / CopyParts<T>::kBlock;
  const Buffer<Part<T>, B> device_parts = to_device(stream, Span<const Part<T>>(parts));
  for_each_row(stream, static_cast<std::int64_t>(parts.size()) * blocks,
               CopyParts<T>{device_parts.data(), blocks});
}

/// For each rank, whether each of its nodes, in the order of slices, has a partial.
template <Backend B>
std::vector<std::vector<std::uint8_t>> gather_presence(Communicator<B>& communicator,
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

/// Sends each rank that rank's chunk of every present partial; returns what this rank received: a
/// chunk for each present node of rank 0, in order, then for those of rank 1, and so on.
template <class T, Backend B>
Buffer<T, B> exchange_chunks(Communicator<B>& communicator, Stream<B>& stream, std::int64_t size,
                             const std::vector<NodePartial<T>>& partials,
                             const std::vector<std::vector<std::uint8_t>>& present) {
  const std::int64_t ranks = communicator.size();
  const Range mine = run_of(communicator.rank(), ranks, size);
  const auto& own = present[static_cast<std::size_t>(communicator.rank())];
  Buffer<T, B> packed(stream, std::count(own.begin(), own.end(), 1) * size);
  std::vector<std::int64_t> send_counts, receive_counts;
  std::vector<Part<T>> parts;
  T* to = packed.data();
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const Range chunk = run_of(rank, ranks, size);
    const T* const begin = to;
    for (const NodePartial<T>& partial : partials) {
      if (partial.data != nullptr) {
        parts.push_back({partial.data + chunk.begin, chunk.size(), to});
        to += chunk.size();
      }
    }
    send_counts.push_back(to - begin);
    const auto& theirs = present[static_cast<std::size_t>(rank)];
    receive_counts.push_back(std::count(theirs.begin(), theirs.end(), 1) * mine.size());
  }
  copy_parts(stream, parts);
  const Exchange<B> exchange(communicator, std::move(send_counts), std::move(receive_counts));
  Buffer<T, B> received(stream, exchange.received());
  exchange.forward(stream, std::as_const(packed).data(), received.data());
  return received;
}

}  // namespace folded_sum_detail

template <class T, Backend B>
FoldedSum<T, B>::FoldedSum(Communicator<B>& communicator, std::int64_t slices, std::int64_t size)
    : communicator_(communicator),
      slices_(slices),
      size_(size),
      chunk_(run_of(communicator.rank(), communicator.size(), size)) {}

template <class T, Backend B>
void FoldedSum<T, B>::reduce(Stream<B>& stream, const std::vector<NodePartial<T>>& partials,
                             T* sum) {
  const std::int64_t ranks = communicator_.size();
  const std::vector<Range> own = nodes_of(run_of(communicator_.rank(), ranks, slices_));
  require(partials.size() == own.size(), Kind::invalid_argument,
          "expected a partial sum for each of {} nodes of this rank's slices: found {}", own.size(),
          partials.size());
  std::vector<std::uint8_t> mine;
  for (const NodePartial<T>& partial : partials) {
    mine.push_back(partial.data != nullptr);
  }
  const auto present = folded_sum_detail::gather_presence(communicator_, slices_, mine);
  Buffer<T, B> received;
  if (ranks > 1) {
    received = folded_sum_detail::exchange_chunks(communicator_, stream, size_, partials, present);
  }

  std::vector<VectorTerm<T>> terms;
  const T* at = received.data();
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const std::vector<Range> nodes = nodes_of(run_of(rank, ranks, slices_));
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      if (present[static_cast<std::size_t>(rank)][node] != 0) {
        terms.push_back({nodes[node].begin, ranks == 1 ? partials[node].data : at});
        at = ranks == 1 ? nullptr : at + chunk_.size();
      }
    }
  }
  const std::int64_t offsets[] = {0, static_cast<std::int64_t>(terms.size())};
  fold_vectors(stream, Span<const VectorTerm<T>>(terms), Span<const std::int64_t>(offsets),
               chunk_.size(), sum);
}

template <class T, Backend B>
void FoldedSum<T, B>::gather(Stream<B>& stream, T* vector) {
  const std::int64_t ranks = communicator_.size();
  if (ranks == 1) {
    return;
  }
  Buffer<T, B> copies(stream, chunk_.size() * ranks);
  std::vector<std::int64_t> send_counts, receive_counts;
  std::vector<folded_sum_detail::Part<T>> parts;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    parts.push_back({vector + chunk_.begin, chunk_.size(), copies.data() + rank * chunk_.size()});
    send_counts.push_back(chunk_.size());
    receive_counts.push_back(run_of(rank, ranks, size_).size());
  }
  folded_sum_detail::copy_parts(stream, parts);
  // The chunks of all ranks, in their order, are the vector.
  Exchange<B>(communicator_, std::move(send_counts), std::move(receive_counts))
      .forward(stream, std::as_const(copies).data(), vector);
}

template <Backend B>
double folded_scalar(Communicator<B>& communicator, std::int64_t slices,
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
