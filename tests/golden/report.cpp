#include "tests/golden/report.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/error.hpp"

namespace keyshard::testing {
namespace {

bool agree(double found, double expected, double bound) {
  return found == expected || (std::isnan(found) && std::isnan(expected)) ||
         std::fabs(found - expected) <= bound;
}

}  // namespace

Numbers close_to(const Numbers& expected, double relative, double absolute) {
  double largest = 1;
  for (const double e : expected) {
    largest = std::fmax(largest, std::fabs(e));
  }
  Numbers bounds;
  for (const double e : expected) {
    bounds.push_back(relative * std::fabs(e) + absolute * largest);
  }
  return bounds;
}

void GoldenCase::near(const std::string& what, const Numbers& found, const Numbers& expected,
                      const Numbers& bounds) {
  expect(found.size() == expected.size() && bounds.size() == expected.size(),
         fmt::format("{}: expected {} numbers: found {}", what, expected.size(), found.size()));
  for (std::size_t i = 0; i < expected.size() && failure_.empty(); ++i) {
    if (!agree(found[i], expected[i], bounds[i])) {
      failure_ = fmt::format("{}[{}]: expected {} within {:.3g}: found {}", what, i, expected[i],
                             bounds[i], found[i]);
    }
  }
}

void GoldenCase::equal(const std::string& what, const std::vector<std::int64_t>& found,
                       const std::vector<std::int64_t>& expected) {
  if (failure_.empty() && found != expected) {
    const auto at = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
    const auto text = [](auto i, auto end) {
      return i == end ? std::string("the end") : fmt::format("{}", *i);
    };
    failure_ = fmt::format("{}[{}]: expected {}: found {}", what, at.first - found.begin(),
                           text(at.second, expected.end()), text(at.first, found.end()));
  }
}

void GoldenCase::expect(bool condition, const std::string& what) {
  if (!condition && failure_.empty()) {
    failure_ = what;
  }
}

void Report::run(const std::string& part, const std::string& name,
                 const std::function<void(GoldenCase&)>& body) {
  GoldenCase one;
  try {
    body(one);
  } catch (const Error& error) {
    if (error.kind() == Kind::not_built) {
      not_built(part);
      return;
    }
    one.expect(false, error.what());
  } catch (const std::exception& error) {
    one.expect(false, error.what());
  }
  if (one.failure().empty()) {
    ++passed_;
    ++passed_of_part_[part];
    return;
  }
  ++failed_;
  out_ << "FAILED " << part << " " << name << ": " << one.failure() << "\n";
}

void Report::not_built(const std::string& part) {
  if (not_built_.insert(part).second) {
    out_ << "NOT BUILT " << part << "\n";
  }
}

void Report::finish() { out_ << passed_ << " passed, " << failed_ << " failed\n"; }

}  // namespace keyshard::testing
