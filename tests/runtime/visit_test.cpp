// Every alternative of a closed set is chosen by its own index, on the host and where std::visit
// does not exist.
#include "runtime/visit.hpp"

#include <cstddef>
#include <vector>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

template <int kNumber>
struct Alternative {
  static constexpr int kOwn = kNumber;
  int value = 0;
};

using Set = std::variant<Alternative<10>, Alternative<11>, Alternative<12>, Alternative<13>>;

struct OwnNumberAndValue {
  template <int kNumber>
  std::vector<int> operator()(const Alternative<kNumber>& alternative) const {
    return {kNumber, alternative.value};
  }
};

TEST(VisitVariant, CallsWithTheAlternativeThatIsHeldAndReturns) {
  EXPECT_EQ(visit_variant(Set(Alternative<10>{1}), OwnNumberAndValue{}), (std::vector<int>{10, 1}));
  EXPECT_EQ(visit_variant(Set(Alternative<11>{2}), OwnNumberAndValue{}), (std::vector<int>{11, 2}));
  EXPECT_EQ(visit_variant(Set(Alternative<12>{3}), OwnNumberAndValue{}), (std::vector<int>{12, 3}));
  EXPECT_EQ(visit_variant(Set(Alternative<13>{4}), OwnNumberAndValue{}), (std::vector<int>{13, 4}));
}

TEST(WithAlternative, CallsOnceWithTheAlternativeOfTheIndex) {
  for (std::size_t index = 0; index < std::variant_size_v<Set>; ++index) {
    std::vector<int> called;
    with_alternative<Set>(index, [&](auto alternative) { called.push_back(alternative.kOwn); });
    EXPECT_EQ(called, std::vector<int>{10 + static_cast<int>(index)});
  }
}

TEST(WithAlternative, CallsNothingForAnIndexBeyondTheSet) {
  with_alternative<Set>(std::variant_size_v<Set>,
                        [](auto) { FAIL() << "an alternative was guessed"; });
}

}  // namespace
}  // namespace keyshard
