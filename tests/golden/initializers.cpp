// initializers.json: the rows of absent keys. Their distribution, and the exact rows of constants.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "embedding/rows/table.hpp"
#include "runtime/error.hpp"
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

/// Variance scaling by its definition.
struct Scaling {
  double scale;
  std::string mode;
  std::string distribution;

  double fan(double in, double out) const {
    return mode == "fan_in" ? in : mode == "fan_out" ? out : (in + out) / 2;
  }

  Initializer initializer(std::int64_t dim) const {
    static const std::map<std::string, Fan> fans{
        {"fan_in", Fan::in}, {"fan_out", Fan::out}, {"fan_avg", Fan::average}};
    static const std::map<std::string, Distribution> distributions{
        {"truncated_normal", Distribution::truncated_normal},
        {"untruncated_normal", Distribution::normal},
        {"uniform", Distribution::uniform}};
    return variance_scaling(scale, fans.at(mode), distributions.at(distribution), dim);
  }
};

Scaling scaling_of(const std::string& name, const GoldenValue& options) {
  static const std::map<std::string, Scaling> named{
      {"GlorotNormal", {1, "fan_avg", "truncated_normal"}},
      {"GlorotUniform", {1, "fan_avg", "uniform"}},
      {"HeNormal", {2, "fan_in", "truncated_normal"}},
      {"HeUniform", {2, "fan_in", "uniform"}},
      {"LecunNormal", {1, "fan_in", "truncated_normal"}},
      {"LecunUniform", {1, "fan_in", "uniform"}}};
  if (name == "VarianceScaling") {
    return {options["scale"].number(), options["mode"].text(), options["distribution"].text()};
  }
  require(named.contains(name), Kind::not_built, "expected an initializer that is built: found {}",
          name);
  return named.at(name);
}

/// An initializer and how far its distribution is stretched from the one in the file, whose fan_in
/// is the number of rows; that of keyshard is 1.
struct Drawn {
  Initializer initializer;
  double stretch = 1;
};

Drawn drawn_of(const GoldenValue& value, std::int64_t n, std::int64_t dim) {
  const std::string& name = value["initializer"].text();
  const GoldenValue& options = value["options"];
  const auto real = [&](const char* key, float otherwise) {
    return options.has(key) ? static_cast<float>(options[key].number()) : otherwise;
  };
  if (name == "RandomNormal") {
    return {Normal{real("mean", 0), real("stddev", 0.05f)}};
  }
  if (name == "TruncatedNormal") {
    return {TruncatedNormal{real("mean", 0), real("stddev", 0.05f)}};
  }
  if (name == "RandomUniform") {
    return {Uniform{real("minval", -0.05f), real("maxval", 0.05f)}};
  }
  const Scaling scaling = scaling_of(name, options);
  const double out = static_cast<double>(dim);
  return {scaling.initializer(dim),
          std::sqrt(scaling.fan(static_cast<double>(n), out) / scaling.fan(1, out))};
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
  const Drawn drawn = drawn_of(value, n, dim);
  GroupOptions group;
  group.dim = dim;
  group.initializer = drawn.initializer;
  const std::vector<float> sample = initial_rows(group, n);

  const GoldenValue& theory = value["theory"];
  const double stddev = theory["stddev"].number() * drawn.stretch;
  const double count = static_cast<double>(sample.size());
  const Moments moments(sample);
  one.near("mean", moments.mean, theory["mean"].number(), 5 * stddev / std::sqrt(count));
  one.near("stddev", moments.stddev, stddev, 5 * stddev / std::sqrt(2 * count));
  if (!theory["lower"].is_null()) {
    const double lower = theory["lower"].number() * drawn.stretch;
    const double upper = theory["upper"].number() * drawn.stretch;
    const double edge = 1e-6 * std::max(std::fabs(lower), std::fabs(upper));
    const auto [least, most] = std::minmax_element(sample.begin(), sample.end());
    one.expect(
        lower - edge <= static_cast<double>(*least) && static_cast<double>(*most) <= upper + edge,
        fmt::format("expected numbers in [{}, {}]: found [{}, {}]", lower, upper, *least, *most));
  }
}

/// The initial values that a name of `missing_key` stands for.
GroupOptions constant_of(const std::string& name, const GoldenTensor& expected) {
  GroupOptions group;
  group.dim = expected.shape.at(1);
  const std::size_t digit = name.find_first_of("-.0123456789");
  if (name == "Zeros" || name == "Ones") {
    group.initializer = Constant{name == "Ones" ? 1.0f : 0.0f};
  } else if (name == "vector of D") {
    group.constant = expected.floats();
    group.constant.resize(static_cast<std::size_t>(group.dim));
  } else {
    require(digit != std::string::npos, Kind::not_built, "expected a constant: found {}", name);
    group.initializer = Constant{std::stof(name.substr(digit))};
  }
  return group;
}

/// A vector that does not fit the rows is refused, where TFRA makes something of it.
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
      require(value["tfra"].is_tensor(), Kind::not_built, "expected exact rows: found none");
      const GoldenTensor& expected = value["tfra"].tensor();
      one.near("row", initial_rows(constant_of(name, expected), expected.shape.at(0)),
               expected.reals, Numbers(expected.reals.size(), 0));
    });
  }
}

}  // namespace keyshard::testing
