// Products against their definition in double, at every small shape, and their bits against what a
// caller has set for OpenMP.
#include "launch/training/models/gemm.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/error.hpp"

extern "C" {
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);
}

namespace keyshard {
namespace {

/// A matrix in rows of a stride larger than its width; what lies between is 7.
struct Matrix {
  Matrix(std::int64_t rows_, std::int64_t cols_, unsigned seed = 0)
      : rows(rows_), cols(cols_), stride(cols_ + 3) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    values.assign(static_cast<std::size_t>(rows * stride + 1), 7.0f);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        at(i, j) = uniform(random);
      }
    }
  }

  float& at(std::int64_t i, std::int64_t j) {
    return values[static_cast<std::size_t>(i * stride + j)];
  }

  MatrixView<float> view() { return {values.data(), rows, cols, stride}; }

  std::int64_t rows, cols, stride;
  std::vector<float> values;
};

using Product = void (*)(MatrixView<const float>, MatrixView<const float>, MatrixView<float>);

void expect_product(Product product, bool left, bool right, std::int64_t n, std::int64_t k,
                    std::int64_t m) {
  Matrix a = left ? Matrix(k, n, 1) : Matrix(n, k, 1);
  Matrix b = right ? Matrix(m, k, 2) : Matrix(k, m, 2);
  Matrix c(n, m, 3);
  product(a.view(), b.view(), c.view());
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < m; ++j) {
      double sum = 0;
      for (std::int64_t t = 0; t < k; ++t) {
        sum += static_cast<double>(left ? a.at(t, i) : a.at(i, t)) *
               static_cast<double>(right ? b.at(j, t) : b.at(t, j));
      }
      ASSERT_NEAR(static_cast<double>(c.at(i, j)), sum, 1e-6 * (1 + static_cast<double>(k)))
          << n << " x " << k << " x " << m;
    }
    for (std::int64_t j = m; j < c.stride; ++j) {
      ASSERT_EQ(c.at(i, j), 7.0f) << "beside the result";
    }
  }
}

TEST(Gemm, ProductsAreThoseOfTheDefinitionAtEveryShape) {
  for (const std::int64_t n : {0, 1, 2, 7, 33}) {
    for (const std::int64_t k : {0, 1, 5, 130}) {
      for (const std::int64_t m : {0, 1, 3, 16, 50}) {
        expect_product(multiply, false, false, n, k, m);
        expect_product(multiply_transposed_left, true, false, n, k, m);
        expect_product(multiply_transposed_right, false, true, n, k, m);
      }
    }
  }
}

TEST(Gemm, BitsDoNotDependOnTheThreadsOfTheCallerWhichStayAsTheyWere) {
  // These shapes have other bits on two threads.
  const int before = omp_get_max_threads();
  for (const auto& [n, k, m] : {std::array{128, 512, 1}, std::array{1, 429, 256}}) {
    Matrix a(n, k, 1), b(k, m, 2), one(n, m), two(n, m);
    omp_set_num_threads(1);
    multiply(a.view(), b.view(), one.view());
    omp_set_num_threads(2);
    multiply(a.view(), b.view(), two.view());
    EXPECT_EQ(omp_get_max_threads(), 2);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < m; ++j) {
        ASSERT_EQ(one.at(i, j), two.at(i, j));
      }
    }
  }
  omp_set_num_threads(before);
}

TEST(Gemm, ShapesThatDoNotFitAreRefused) {
  Matrix a(2, 3), b(4, 5), c(2, 5);
  EXPECT_THROW(multiply(a.view(), b.view(), c.view()), Error);
}

TEST(Gemm, UnknownNumericsAreRefused) {
  EXPECT_THROW(pin_gemm_code_path("fast"), Error);
  pin_gemm_code_path("native");
  EXPECT_FALSE(gemm_code_path().empty());
}

}  // namespace
}  // namespace keyshard
