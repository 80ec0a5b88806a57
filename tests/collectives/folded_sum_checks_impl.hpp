// The bodies of folded_sum_checks, for any device.
#pragma once

#include <cstring>
#include <map>
#include <optional>

#include <gtest/gtest.h>

#include "collectives/folded_sum.hpp"
#include "runtime/copy.hpp"
#include "tests/collectives/communicator_checks.hpp"
#include "tests/support/reference_lookup.hpp"

namespace keyshard::testing {
namespace folded_sum_checks_detail {

template <class T>
using Terms = std::map<std::int64_t, std::vector<T>>;

/// A number whose sums depend on the order of adding; in column 3 a number to which no zero may be
/// added.
template <class T>
T number_of(std::int64_t slice, std::int64_t d) {
  if (d == 3) {
    return T{-0.0f};
  }
  T number = static_cast<T>((slice * 37 + d * 11) % 101 - 50) / T{7};
  for (std::int64_t i = 0; i < (slice + d) % 5; ++i) {
    number *= T{100};
  }
  return number;
}

template <class T>
std::vector<T> add(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> sum(a);
  for (std::size_t d = 0; d < sum.size(); ++d) {
    sum[d] += b[d];
  }
  return sum;
}

/// The terms of a job in which every `hole`-th slice has none.
template <class T>
Terms<T> make_terms(std::int64_t slices, std::int64_t size, std::int64_t hole) {
  Terms<T> terms;
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    if (slice % hole != hole - 1) {
      for (std::int64_t d = 0; d < size; ++d) {
        terms[slice].push_back(number_of<T>(slice, d));
      }
    }
  }
  return terms;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T, Backend B>
void check_sum(Communicator<B>& communicator, Stream<B>& stream, const Terms<T>& terms,
               std::int64_t slices, std::int64_t size) {
  // Each rank brings the sums over its own nodes, by the definition.
  std::vector<Buffer<T, B>> sums;
  std::vector<NodePartial<T>> partials;
  for (const Range node : nodes_of(run_of(communicator.rank(), communicator.size(), slices))) {
    const auto sum = tree_fold(terms, node.begin, node.size(), add<T>);
    sums.push_back(sum ? to_device(stream, *sum) : Buffer<T, B>());
    partials.push_back({node.begin, std::as_const(sums.back()).data()});
  }

  FoldedSum<T, B> folded(communicator, slices, size);
  const std::vector<T> before(static_cast<std::size_t>(size), T{-1});
  Buffer<T, B> vector = to_device(stream, before);
  folded.reduce(stream, partials, vector.data() + folded.chunk().begin);
  folded.gather(stream, vector.data());

  const auto whole = tree_fold(terms, 0, slices, add<T>);
  EXPECT_TRUE(same_bits(to_host(stream, vector), whole.value_or(std::vector<T>(before.size()))))
      << slices << " slices, size " << size << ", " << terms.size() << " terms";
}

template <class T, Backend B>
void folded_sum_has_the_bits_of_the_definition(Communicator<B>& communicator, Stream<B>& stream) {
  for (const std::int64_t slices : {4, 16}) {
    for (const std::int64_t size : {0, 1, 5, 1300}) {
      for (const std::int64_t hole : {100, 3, 2, 1}) {
        check_sum(communicator, stream, make_terms<T>(slices, size, hole), slices, size);
      }
    }
  }
}

template <Backend B>
void folded_scalar_has_the_bits_of_the_definition(Communicator<B>& communicator, Stream<B>&) {
  for (const std::int64_t slices : {4, 16}) {
    for (const std::int64_t hole : {100, 3, 1}) {
      const Terms<double> terms = make_terms<double>(slices, 1, hole);
      const Range run = run_of(communicator.rank(), communicator.size(), slices);
      std::vector<double> mine;
      std::vector<bool> present;
      for (std::int64_t slice = run.begin; slice < run.end; ++slice) {
        present.push_back(terms.contains(slice));
        mine.push_back(terms.contains(slice) ? terms.at(slice)[0] : 1e9);
      }
      const auto expected = tree_fold(terms, 0, slices, add<double>);
      EXPECT_EQ(folded_scalar(communicator, slices, mine, present), expected ? (*expected)[0] : 0);
    }
  }
}

}  // namespace folded_sum_checks_detail

template <Backend B>
std::vector<RankCheck<B>> folded_sum_checks() {
  namespace detail = folded_sum_checks_detail;
  return {
      {"FoldedSumOfFloatsHasTheBitsOfTheDefinition",
       detail::folded_sum_has_the_bits_of_the_definition<float, B>},
      {"FoldedSumOfDoublesHasTheBitsOfTheDefinition",
       detail::folded_sum_has_the_bits_of_the_definition<double, B>},
      {"FoldedScalarHasTheBitsOfTheDefinition",
       detail::folded_scalar_has_the_bits_of_the_definition<B>},
  };
}

}  // namespace keyshard::testing
