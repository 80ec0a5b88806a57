#include "embedding/rules/combiners.hpp"

#include <algorithm>

#include "runtime/error.hpp"
#include "runtime/settings.hpp"

namespace keyshard {

const std::vector<std::string>& combiner_names() {
  static const std::vector<std::string> names{"sum", "mean", "min", "max", "sqrtn"};
  return names;
}

Combiner combiner_of(const std::string& name) {
  if (name == "sum") return Sum{};
  if (name == "mean") return Mean{};
  if (name == "min") return Min{};
  if (name == "max") return Max{};
  if (name == "sqrtn" || name == "sqrt_n") return SqrtN{};
  static const std::vector<std::string> later{"prod", "variance", "std", "logsumexp",
                                              "euclidean_norm"};
  require(std::find(later.begin(), later.end(), name) == later.end(), Kind::not_built,
          "combiner \"{}\" is not built in this version; built are {}", name,
          fmt::join(combiner_names(), ", "));
  fail(Kind::invalid_argument, "expected a combiner of {}: found \"{}\"{}",
       fmt::join(combiner_names(), ", "), name, did_you_mean(name, combiner_names()));
}

const char* name_of(const Combiner& combiner) {
  static constexpr const char* kNames[] = {"sum", "mean", "min", "max", "sqrtn"};
  return kNames[combiner.index()];
}

std::int64_t state_floats(const Combiner& combiner) {
  return std::visit(
      [](auto c) {
        return static_cast<std::int64_t>(sizeof(typename decltype(c)::State) / sizeof(float));
      },
      combiner);
}

std::int64_t back_floats(const Combiner& combiner) {
  return std::visit(
      [](auto c) {
        return static_cast<std::int64_t>(sizeof(typename decltype(c)::Back) / sizeof(float));
      },
      combiner);
}

bool back_needs_state(const Combiner& combiner) {
  return std::visit([](auto c) { return decltype(c)::kBackNeedsState; }, combiner);
}

}  // namespace keyshard
