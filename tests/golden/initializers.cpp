// initializers.json: the rows of absent keys. Their distribution, and the exact rows of constants.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>

#include "embedding/layers/layer.hpp"
#include "embedding/rows/table.hpp"
#include "runtime/error.hpp"
#include "tests/golden/rule_tree.hpp"
#include "tests/golden/sections.hpp"

namespace keyshard::testing {
namespace {

/// What keys 0 .. n - 1 read as in an empty table.
std::vector<float> initial_rows(const GroupOptions& group, std::int64_t n) {
  TableOptions options;
  options.name = "golden";
  options.seed = 20260101;
  options.groups = {group};
  const Table<Cpu> table(options, Range{0, kShards});
  Stream<Cpu> stream;
  std::vector<Key> keys(static_cast<std::size_t>(n));
  std::iota(keys.begin(), keys.end(), Key{0});
  const std::vector<RowId> rows(keys.size(), kNoRow);
  std::vector<float> out(keys.size() * static_cast<std::size_t>(group.dim));
  table.read(stream, keys, rows.data(), false, out.data());
  return out;
}

/// Columns with the initial values of a configuration.
GroupOptions group_of(const SettingValue& tree, std::int64_t dim) {
  InitialValues initial = initializer_of(tree, dim);
  GroupOptions group;
  group.dim = dim;
  group.initializer = initial.initializer;
  group.constant = std::move(initial.constant);
  return group;
}

/// A name like GlorotUniform as a configuration has it.
std::string type_of(const std::string& name) {
  static const std::string kRandom = "Random";
  std::string type;
  for (const char c : name.starts_with(kRandom) ? name.substr(kRandom.size()) : name) {
    const bool upper = c >= 'A' && c <= 'Z';
    type += upper && !type.empty() ? "_" : "";
    type += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return type;
}

/// The fan by which an initializer divides its variance, for matrices of [in, out]; 1 for an
/// initializer that does not scale.
double fan_of(const GoldenValue& value, double in, double out) {
  static const std::map<std::string, std::string> kModes{
      {"GlorotNormal", "fan_avg"}, {"GlorotUniform", "fan_avg"}, {"HeNormal", "fan_in"},
      {"HeUniform", "fan_in"},     {"LecunNormal", "fan_in"},    {"LecunUniform", "fan_in"}};
  const GoldenValue& options = value["options"];
  const auto named = kModes.find(value["initializer"].text());
  const std::string mode = options.has("mode")     ? options["mode"].text()
                           : named != kModes.end() ? named->second
                                                   : "";
  return mode == "fan_in" ? in : mode == "fan_out" ? out : mode == "fan_avg" ? (in + out) / 2 : 1;
}

/// Moments of a sample.
struct Moments {
  explicit Moments(const std::vector<float>& sample) {
    const double n = static_cast<double>(sample.size());
    for (const float x : sample) {
      mean += static_cast<double>(x) / n;
    }
    double squares = 0;
    for (const float x : sample) {
      squares += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean);
    }
    stddev = std::sqrt(squares / n);
  }

  double mean = 0;
  double stddev = 0;
};

void check_distribution(const GoldenValue& value, GoldenCase& one) {
  const std::int64_t n = value["shape"].list().at(0).integer();
  const std::int64_t dim = value["shape"].list().at(1).integer();
  SettingValue::Table keys;
  for (const auto& [key, option] : value["options"].object()) {
    keys.emplace_back(key, setting_of(option));
  }
  const SettingValue tree = rule_tree(type_of(value["initializer"].text()), keys);
  const std::vector<float> sample = initial_rows(group_of(tree, dim), n);
  // In the file the fan_in is the number of rows n; in keyshard it is 1.
  const double out = static_cast<double>(dim);
  const double stretch =
      std::sqrt(fan_of(value, static_cast<double>(n), out) / fan_of(value, 1, out));

  const GoldenValue& theory = value["theory"];
  const double stddev = theory["stddev"].number() * stretch;
  const double count = static_cast<double>(sample.size());
  const Moments moments(sample);
  one.near("mean", moments.mean, theory["mean"].number(), 5 * stddev / std::sqrt(count));
  one.near("stddev", moments.stddev, stddev, 5 * stddev / std::sqrt(2 * count));
  if (!theory["lower"].is_null()) {
    const double lower = theory["lower"].number() * stretch;
    const double upper = theory["upper"].number() * stretch;
    const double edge = 1e-6 * std::max(std::fabs(lower), std::fabs(upper));
    const auto [least, most] = std::minmax_element(sample.begin(), sample.end());
    one.expect(
        lower - edge <= static_cast<double>(*least) && static_cast<double>(*most) <= upper + edge,
        fmt::format("expected numbers in [{}, {}]: found [{}, {}]", lower, upper, *least, *most));
  }
}

/// The initial values that a name of `missing_key` stands for.
GroupOptions constant_of(const std::string& name, const GoldenTensor& expected) {
  const std::int64_t dim = expected.shape.at(1);
  const std::size_t digit = name.find_first_of("-.0123456789");
  if (name == "Zeros" || name == "Ones") {
    return group_of(rule_tree(type_of(name), {}), dim);
  }
  if (name == "vector of D" || name == "empty vector") {
    SettingValue::Array values;
    for (std::int64_t d = 0; d < (name == "empty vector" ? 0 : dim); ++d) {
      values.push_back({expected.reals[static_cast<std::size_t>(d)], ""});
    }
    return group_of(rule_tree("constant", {{"values", {std::move(values), ""}}}), dim);
  }
  require(digit != std::string::npos, Kind::not_built, "expected a constant: found {}", name);
  return group_of(rule_tree("constant", {{"value", {std::stod(name.substr(digit)), ""}}}), dim);
}

/// A layer that is given no initializer has the one that the file names, as "random:
/// RandomNormal(0, 0.05)".
void check_default(const std::string& expected, GoldenCase& one) {
  double mean = 0, stddev = 0;
  require(std::sscanf(expected.c_str(), "random: RandomNormal(%lf, %lf)", &mean, &stddev) == 2,
          Kind::not_built, "expected the mean and the deviation of a normal: found {}", expected);
  GroupOptions group;
  group.dim = 16;
  group.initializer = LayerOptions{}.initializer;
  const Moments moments(initial_rows(group, 10000));
  const double count = 16 * 10000;
  one.near("mean", moments.mean, mean, 5 * stddev / std::sqrt(count));
  one.near("stddev", moments.stddev, stddev, 5 * stddev / std::sqrt(2 * count));
}

/// keyshard takes an initializer by its name; TFRA fails at the first call.
void check_named(const std::string& type, double number, GoldenCase& one) {
  const std::vector<float> rows = initial_rows(group_of(rule_tree(type, {}), 3), 2);
  one.near("row", rows, Numbers(rows.size(), number), Numbers(rows.size(), 0));
}

/// keyshard refuses a vector that does not fit the rows; TFRA accepts it.
void check_refused(GoldenCase& one) {
  GroupOptions group;
  group.dim = 3;
  group.constant = {7, 2};
  try {
    initial_rows(group, 1);
    one.expect(false, "expected a refusal: found none");
  } catch (const Error& error) {
    one.expect(error.kind() == Kind::invalid_argument, error.what());
  }
}

}  // namespace

void run_random_initializers(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["random"].list()) {
    std::string name = value["initializer"].text();
    for (const GoldenValue& extent : value["shape"].list()) {
      name += fmt::format(" {}", extent.integer());
    }
    report.run("initializers: random", name,
               [&](GoldenCase& one) { check_distribution(value, one); });
  }
}

void run_missing_keys(const GoldenValue& file, Report& report) {
  for (const GoldenValue& value : file["missing_key"].list()) {
    const std::string& name = value["initializer"].text();
    report.run("initializers: missing_key " + name, name, [&](GoldenCase& one) {
      if (name == "vector of another size") {
        check_refused(one);
        return;
      }
      if (name == "string zeros") {
        check_named("zeros", 0, one);
        return;
      }
      if (name == "None") {
        check_default(value["tfra"].text(), one);
        return;
      }
      require(value["tfra"].is_tensor(), Kind::not_built, "expected exact rows: found none");
      const GoldenTensor& expected = value["tfra"].tensor();
      one.near("row", initial_rows(constant_of(name, expected), expected.shape.at(0)),
               expected.reals, Numbers(expected.reals.size(), 0));
    });
  }
}

}  // namespace keyshard::testing
