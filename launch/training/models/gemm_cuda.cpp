// The one home of cuBLAS. Each slice has a product of its own, because what cuBLAS chooses for a
// product may depend on how many it computes at once, and so on the number of ranks.
#include <memory>

#include <cublas_v2.h>

#include "launch/training/models/gemm.hpp"
#include "runtime/cuda_call.hpp"

namespace keyshard {
namespace {

void check_cublas(cublasStatus_t status, const char* call) {
  require(status == CUBLAS_STATUS_SUCCESS, Kind::device, "the CUDA device failed in {}: {}", call,
          cublasGetStatusString(status));
}

/// The handle that goes with a stream, made at its first product.
cublasHandle_t handle_of(Stream<Cuda>& stream) {
  if (stream.attachment() == nullptr) {
    cublasHandle_t handle = nullptr;
    check_cublas(cublasCreate(&handle), "cublasCreate");
    stream.attachment() = std::shared_ptr<void>(
        handle, [](void* kept) { cublasDestroy(static_cast<cublasHandle_t>(kept)); });
    check_cublas(cublasSetStream(handle, stream.handle()), "cublasSetStream");
    check_cublas(cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH), "cublasSetMathMode");
  }
  return static_cast<cublasHandle_t>(stream.attachment().get());
}

struct Operand {
  MatrixView<const float> matrix;
  bool transposed;

  cublasOperation_t operation() const { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

  std::int64_t cols() const { return transposed ? matrix.rows : matrix.cols; }
};

template <class T>
MatrixView<T> rows_of(MatrixView<T> matrix, Range samples) {
  return {matrix.row(samples.begin), samples.size(), matrix.cols, matrix.stride};
}

/// c = a b. cuBLAS has columns in the place of rows, so it is asked for the transposed product.
void product(Stream<Cuda>& stream, const Operand& a, const Operand& b, MatrixView<float> c) {
  if (c.rows == 0 || c.cols == 0) {
    return;
  }
  stream.begin_launch();
  if (a.cols() == 0) {
    check_cuda(cudaMemset2DAsync(c.data, static_cast<std::size_t>(c.stride) * sizeof(float), 0,
                                 static_cast<std::size_t>(c.cols) * sizeof(float),
                                 static_cast<std::size_t>(c.rows), stream.handle()),
               "cudaMemset2DAsync");
    return;
  }
  const float one = 1.0f, zero = 0.0f;
  check_cublas(cublasSgemm_64(handle_of(stream), b.operation(), a.operation(), c.cols, c.rows,
                              a.cols(), &one, b.matrix.data, b.matrix.stride, a.matrix.data,
                              a.matrix.stride, &zero, c.data, c.stride),
               "cublasSgemm_64");
}

}  // namespace

void multiply(Stream<Cuda>& queue, const SliceGroup& group, MatrixView<const float> a,
              MatrixView<const float> b, MatrixView<float> c) {
  for (std::int64_t slice = 0; slice < group.slices(); ++slice) {
    const Range samples = group.samples_of(slice);
    product(queue, {rows_of(a, samples), false}, {b, false}, rows_of(c, samples));
  }
}

void multiply_transposed_left(Stream<Cuda>& queue, const SliceGroup& group,
                              MatrixView<const float> a, MatrixView<const float> b,
                              const SliceMatrices& c) {
  for (std::int64_t slice = 0; slice < group.slices(); ++slice) {
    const Range samples = group.samples_of(slice);
    product(queue, {rows_of(a, samples), true}, {rows_of(b, samples), false}, c.of(slice));
  }
}

void multiply_transposed_right(Stream<Cuda>& queue, const SliceGroup& group,
                               MatrixView<const float> a, MatrixView<const float> b,
                               MatrixView<float> c) {
  for (std::int64_t slice = 0; slice < group.slices(); ++slice) {
    const Range samples = group.samples_of(slice);
    product(queue, {rows_of(a, samples), false}, {b, true}, rows_of(c, samples));
  }
}

}  // namespace keyshard
