// What a run over golden cases writes: a line per failing case, a line per part that is not built,
// and the count at the end. A case that throws has failed, except that Error{not_built} marks its
// part as not built: so the runner needs no list of what the library can do.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace keyshard::testing {

using Numbers = std::vector<double>;

/// Half a unit in the last place of float32: the u of the golden README.
inline constexpr double kUnit = 0x1p-24;

/// Bounds r |e| + a max(1, max |e|), one for each expected number e.
Numbers close_to(const Numbers& expected, double relative, double absolute);

/// The comparisons of one case; keeps the first that disagrees.
class GoldenCase {
 public:
  /// |found[i] - expected[i]| <= bounds[i]. Equal numbers agree, infinities among them, and so do
  /// two NaN.
  void near(const std::string& what, const Numbers& found, const Numbers& expected,
            const Numbers& bounds);

  void near(const std::string& what, const std::vector<float>& found, const Numbers& expected,
            const Numbers& bounds) {
    near(what, Numbers(found.begin(), found.end()), expected, bounds);
  }

  void near(const std::string& what, double found, double expected, double bound) {
    near(what, Numbers{found}, Numbers{expected}, Numbers{bound});
  }

  void equal(const std::string& what, const std::vector<std::int64_t>& found,
             const std::vector<std::int64_t>& expected);
  void expect(bool condition, const std::string& what);

  /// Empty where everything agrees.
  const std::string& failure() const noexcept { return failure_; }

 private:
  std::string failure_;
};

class Report {
 public:
  /// Lines go to `out`, which is borrowed.
  explicit Report(std::ostream& out) : out_(out) {}

  /// Runs and counts one case of a part ("file: section", or "file: section name").
  void run(const std::string& part, const std::string& name,
           const std::function<void(GoldenCase&)>& body);

  /// Says once that a part is not built.
  void not_built(const std::string& part);

  /// Writes the count; call it last.
  void finish();

  std::int64_t passed() const noexcept { return passed_; }

  std::int64_t failed() const noexcept { return failed_; }

  /// The number of passed cases of each part that has any.
  const std::map<std::string, std::int64_t>& passed_of_part() const noexcept {
    return passed_of_part_;
  }

 private:
  std::ostream& out_;
  std::map<std::string, std::int64_t> passed_of_part_;
  std::set<std::string> not_built_;
  std::int64_t passed_ = 0;
  std::int64_t failed_ = 0;
};

}  // namespace keyshard::testing
