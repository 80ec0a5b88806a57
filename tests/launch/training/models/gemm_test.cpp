// Products against their definition in double, at every small shape; and that the number of threads
// that a caller has set for OpenMP does not change their bits.
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

using Product = void (*)(Serial&, MatrixView<const float>, MatrixView<const float>,
                         MatrixView<float>);

void expect_product(Product product, bool left, bool right, std::int64_t n, std::int64_t k,
                    std::int64_t m) {
  Matrix a = left ? Matrix(k, n, 1) : Matrix(n, k, 1);
  Matrix b = right ? Matrix(m, k, 2) : Matrix(k, m, 2);
  Matrix c(n, m, 3);
  Serial queue;
  product(queue, a.view(), b.view(), c.view());
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
  // oneDNN gives these shapes other bits on two threads.
  const int before = omp_get_max_threads();
  Serial queue;
  for (const auto& [n, k, m] : {std::array{128, 512, 1}, std::array{1, 429, 256}}) {
    Matrix a(n, k, 1), b(k, m, 2), one(n, m), two(n, m);
    omp_set_num_threads(1);
    multiply(queue, a.view(), b.view(), one.view());
    omp_set_num_threads(2);
    multiply(queue, a.view(), b.view(), two.view());
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
  Serial queue;
  EXPECT_THROW(multiply(queue, a.view(), b.view(), c.view()), Error);
}

/// A slice of its own for [begin, end).
MatrixView<float> rows_of(Matrix& matrix, std::int64_t begin, std::int64_t end) {
  return {&matrix.at(begin, 0), end - begin, matrix.cols, matrix.stride};
}

TEST(Gemm, ProductsOfAGroupAreThoseOfItsSlices) {
  const std::vector<std::int64_t> offsets{100, 107, 107, 110};  // of any origin
  const SliceGroup group{{offsets.data(), 3}, offsets.data()};
  Serial queue;
  Matrix a(10, 6, 1), weights(6, 5, 2), grouped(10, 5), single(10, 5), slopes(10, 6), alone(10, 6);
  std::vector<float> gradients(3 * 30, -1);
  multiply(queue, group, a.view(), weights.view(), grouped.view());
  multiply_transposed_right(queue, group, grouped.view(), weights.view(), slopes.view());
  multiply_transposed_left(queue, group, a.view(), grouped.view(),
                           {{gradients.data(), 6, 5, 5}, 30});

  std::size_t slice = 0;
  for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, 7}, {7, 7}, {7, 10}}) {
    multiply(queue, rows_of(a, begin, end), weights.view(), rows_of(single, begin, end));
    multiply_transposed_right(queue, rows_of(single, begin, end), weights.view(),
                              rows_of(alone, begin, end));
    std::vector<float> gradient(30);
    multiply_transposed_left(queue, rows_of(a, begin, end), rows_of(single, begin, end),
                             {gradient.data(), 6, 5, 5});
    const auto found = gradients.begin() + static_cast<std::ptrdiff_t>(30 * slice++);
    EXPECT_EQ(std::vector<float>(found, found + 30), gradient);
  }
  EXPECT_EQ(grouped.values, single.values);
  EXPECT_EQ(slopes.values, alone.values);
}

TEST(Gemm, UnknownNumericsAreRefused) {
  EXPECT_THROW(pin_gemm_code_path("fast"), Error);
  pin_gemm_code_path("native");
  EXPECT_FALSE(gemm_code_path().empty());
}

}  // namespace
}  // namespace keyshard
