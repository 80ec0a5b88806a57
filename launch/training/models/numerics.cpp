#include "launch/training/models/numerics.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <gnu/libc-version.h>

#include "embedding/rules/optimizers.hpp"
#include "launch/training/models/gemm.hpp"
#include "runtime/digest.hpp"
#include "runtime/random.hpp"
#include "runtime/team.hpp"

namespace keyshard {
namespace {

/// n numbers in [-1, 1), the same everywhere.
std::vector<float> questions(std::int64_t n) {
  std::vector<float> numbers(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = 2.0f * unit_float(philox(1, i, 0).word[0]) - 1.0f;
  }
  return numbers;
}

void add_products(Digest& digest) {
  Serial queue;

  struct Shape {
    std::int64_t n, k, m;
  };

  for (const Shape s : {Shape{64, 429, 48}, Shape{17, 128, 1}, Shape{1, 300, 256}}) {
    const std::vector<float> a = questions(s.n * s.k);
    const std::vector<float> b = questions(s.k * s.m);
    std::vector<float> c(static_cast<std::size_t>(s.n * s.m));
    multiply(queue, {a.data(), s.n, s.k, s.k}, {b.data(), s.k, s.m, s.m},
             {c.data(), s.n, s.m, s.m});
    digest.add(Span<const float>(c));
  }
}

void add_functions(Digest& digest) {
  std::vector<double> values;
  for (const float number : questions(256)) {
    const double x = 10.0 * static_cast<double>(number);
    values.push_back(std::exp(x));
    values.push_back(std::log1p(std::exp(-std::abs(x))));
    values.push_back(std::log(std::abs(x) + 0.5));
  }
  digest.add(Span<const double>(values));
}

void add_optimizer_step(Digest& digest) {
  const std::vector<float> gradient = questions(256);
  std::vector<float> weights(256, 0.5f);
  std::vector<float> state(512, 0.0f);
  const Adam adam;
  OptimizerClock clock{Optimizer(adam)};
  adam.update(Solo{}, weights.data(), state.data(), gradient.data(), 256, clock.tick(1));
  digest.add(Span<const float>(weights)).add(Span<const float>(state));
}

}  // namespace

std::string numerics_fingerprint() {
  Digest answers;
  add_products(answers);
  add_functions(answers);
  add_optimizer_step(answers);
  return fmt::format("{}, oneDNN {}, glibc {}, answers {}", gemm_code_path(), gemm_version(),
                     gnu_get_libc_version(), answers.result().hex());
}

}  // namespace keyshard
