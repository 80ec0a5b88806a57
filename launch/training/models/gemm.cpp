#include "launch/training/models/gemm.hpp"

#include <algorithm>
#include <cstdint>

#include <dnnl.h>

#include "runtime/error.hpp"

// Of the OpenMP runtime that oneDNN is linked to, whichever compiler builds this file.
extern "C" {
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);
}

namespace keyshard {
namespace {

/// Makes products of this thread run on it alone, and leaves a caller's own setting as it was.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) {
    if (before_ != 1) {
      omp_set_num_threads(1);
    }
  }

  ~OneThread() {
    if (before_ != 1) {
      omp_set_num_threads(before_);
    }
  }

  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// An operand and whether it is transposed.
struct Operand {
  MatrixView<const float> matrix;
  bool transposed;

  std::int64_t rows() const { return transposed ? matrix.cols : matrix.rows; }

  std::int64_t cols() const { return transposed ? matrix.rows : matrix.cols; }
};

/// The rows of some samples.
template <class T>
MatrixView<T> rows_of(MatrixView<T> matrix, Range samples) {
  return {matrix.row(samples.begin), samples.size(), matrix.cols, matrix.stride};
}

/// oneDNN refuses a leading dimension of 0, which an empty matrix may have.
std::int64_t leading(std::int64_t stride) { return std::max<std::int64_t>(stride, 1); }

void product(const Operand& a, const Operand& b, MatrixView<float> c) {
  require(a.rows() == c.rows && b.cols() == c.cols && a.cols() == b.rows(), Kind::invalid_argument,
          "expected a product [n x k] [k x m] = [n x m]: found [{} x {}] [{} x {}] = [{} x {}]",
          a.rows(), a.cols(), b.rows(), b.cols(), c.rows, c.cols);
  if (c.rows == 0 || c.cols == 0) {
    return;
  }
  if (a.cols() == 0) {
    for (std::int64_t i = 0; i < c.rows; ++i) {
      std::fill_n(c.row(i), c.cols, 0.0f);
    }
    return;
  }
  const OneThread alone;
  const dnnl_status_t status =
      dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', c.rows, c.cols, a.cols(), 1.0f,
                 a.matrix.data, leading(a.matrix.stride), b.matrix.data, leading(b.matrix.stride),
                 0.0f, c.data, leading(c.stride));
  require(status == dnnl_success, Kind::out_of_memory,
          "expected a product [{} x {}] [{} x {}]: oneDNN failed with status {}", a.rows(),
          a.cols(), b.rows(), b.cols(), static_cast<int>(status));
}

}  // namespace

void multiply(Serial&, MatrixView<const float> a, MatrixView<const float> b, MatrixView<float> c) {
  product({a, false}, {b, false}, c);
}

void multiply_transposed_left(Serial&, MatrixView<const float> a, MatrixView<const float> b,
                              MatrixView<float> c) {
  product({a, true}, {b, false}, c);
}

void multiply_transposed_right(Serial&, MatrixView<const float> a, MatrixView<const float> b,
                               MatrixView<float> c) {
  product({a, false}, {b, true}, c);
}

void multiply(Serial& queue, const SliceGroup& group, MatrixView<const float> a,
              MatrixView<const float> b, MatrixView<float> c) {
  for (std::int64_t slice = 0; slice < group.slices(); ++slice) {
    const Range samples = group.samples_of(slice);
    multiply(queue, rows_of(a, samples), b, rows_of(c, samples));
  }
}

void multiply_transposed_left(Serial& queue, const SliceGroup& group, MatrixView<const float> a,
                              MatrixView<const float> b, const SliceMatrices& c) {
  for (std::int64_t slice = 0; slice < group.slices(); ++slice) {
    const Range samples = group.samples_of(slice);
    multiply_transposed_left(queue, rows_of(a, samples), rows_of(b, samples), c.of(slice));
  }
}

void multiply_transposed_right(Serial& queue, const SliceGroup& group, MatrixView<const float> a,
                               MatrixView<const float> b, MatrixView<float> c) {
  for (std::int64_t slice = 0; slice < group.slices(); ++slice) {
    const Range samples = group.samples_of(slice);
    multiply_transposed_right(queue, rows_of(a, samples), b, rows_of(c, samples));
  }
}

void pin_gemm_code_path(std::string_view numerics) {
  require(numerics == "native" || numerics == "avx2", Kind::invalid_argument,
          "expected numerics \"native\" or \"avx2\": found \"{}\"", numerics);
  if (numerics == "avx2") {
    // Fails after a first product or query; the path in use is checked below.
    dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
  }
  dnnl_set_default_fpmath_mode(dnnl_fpmath_mode_strict);
  const std::string path = gemm_code_path();
  require(
      numerics == "native" || path == numerics, Kind::invalid_argument,
      "expected numerics \"{}\" before the first product, on a machine that has it: found \"{}\"",
      numerics, path);
}

std::string gemm_code_path() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
      return "sse41";
    case dnnl_cpu_isa_avx:
      return "avx";
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
    case dnnl_cpu_isa_avx512_mic:
    case dnnl_cpu_isa_avx512_mic_4ops:
      return "avx512_mic";
    case dnnl_cpu_isa_avx512_core:
    case dnnl_cpu_isa_avx512_core_vnni:
    case dnnl_cpu_isa_avx512_core_bf16:
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core";  // the others add types, not another product of floats
    default:
      return "plain";
  }
}

std::string gemm_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace keyshard
