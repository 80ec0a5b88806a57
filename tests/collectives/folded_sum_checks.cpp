#include <cstring>
#include <map>
#include <optional>

#include <gtest/gtest.h>

#include "collectives/folded_sum.hpp"
#include "tests/collectives/communicator_checks.hpp"
#include "tests/support/reference_lookup.hpp"

namespace keyshard::testing {
namespace {

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

template <class T>
void check_sum(Communicator<Cpu>& communicator, Stream<Cpu>& stream, const Terms<T>& terms,
               std::int64_t slices, std::int64_t size) {
  // Each rank brings the sums over its own nodes, by the definition.
  std::vector<std::optional<std::vector<T>>> sums;
  std::vector<NodePartial<T>> partials;
  for (const Range node : nodes_of(run_of(communicator.rank(), communicator.size(), slices))) {
    sums.push_back(tree_fold(terms, node.begin, node.size(), add<T>));
    partials.push_back({node.begin, nullptr});
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    partials[i].data = sums[i] ? sums[i]->data() : nullptr;
  }

  FoldedSum<T, Cpu> folded(communicator, slices, size);
  std::vector<T> vector(static_cast<std::size_t>(size), T{-1});
  folded.reduce(stream, partials, vector.data() + folded.chunk().begin);
  folded.gather(stream, vector.data());

  const auto whole = tree_fold(terms, 0, slices, add<T>);
  EXPECT_TRUE(same_bits(vector, whole.value_or(std::vector<T>(vector.size()))))
      << slices << " slices, size " << size << ", " << terms.size() << " terms";
}

template <class T>
void folded_sum_has_the_bits_of_the_definition(Communicator<Cpu>& communicator,
                                               Stream<Cpu>& stream) {
  for (const std::int64_t slices : {4, 16}) {
    for (const std::int64_t size : {0, 1, 5, 1300}) {
      for (const std::int64_t hole : {100, 3, 2, 1}) {
        check_sum(communicator, stream, make_terms<T>(slices, size, hole), slices, size);
      }
    }
  }
}

void folded_scalar_has_the_bits_of_the_definition(Communicator<Cpu>& communicator, Stream<Cpu>&) {
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

}  // namespace

const std::vector<RankCheck>& folded_sum_checks() {
  static const std::vector<RankCheck> checks{
      {"FoldedSumOfFloatsHasTheBitsOfTheDefinition",
       folded_sum_has_the_bits_of_the_definition<float>},
      {"FoldedSumOfDoublesHasTheBitsOfTheDefinition",
       folded_sum_has_the_bits_of_the_definition<double>},
      {"FoldedScalarHasTheBitsOfTheDefinition", folded_scalar_has_the_bits_of_the_definition},
  };
  return checks;
}

}  // namespace keyshard::testing
