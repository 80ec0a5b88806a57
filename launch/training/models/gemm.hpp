// Products of row-major matrices. On a CPU oneDNN computes them (this is the one home of <dnnl.h>),
// on a CUDA device cuBLAS in float32, product after product on the stream. The bits of a product
// depend on the number of threads, so a product runs on the calling thread alone; they also depend
// on shape, leading dimensions and transposition, which must therefore follow from the slice alone.
// A product overwrites the result, and the inner dimension is never cut.
#pragma once

#include <string>
#include <string_view>

#include "launch/training/models/slice_group.hpp"
#include "runtime/serial.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// c [n x m] = a [n x k] b [k x m]. Any extent may be 0; with k = 0 the result is 0. The views must
/// not overlap. Throws Error{invalid_argument} where the shapes do not fit.
void multiply(Serial& queue, MatrixView<const float> a, MatrixView<const float> b,
              MatrixView<float> c);

/// c [n x m] = a^T b, of a [k x n] and b [k x m].
void multiply_transposed_left(Serial& queue, MatrixView<const float> a, MatrixView<const float> b,
                              MatrixView<float> c);

/// c [n x m] = a b^T, of a [n x k] and b [m x k].
void multiply_transposed_right(Serial& queue, MatrixView<const float> a, MatrixView<const float> b,
                               MatrixView<float> c);

// The same for each slice of a group: a matrix with a row per sample holds the samples of the whole
// group. The product of a slice has the same bits in any group.

/// c [samples x m] = a [samples x k] b [k x m].
void multiply(Serial& queue, const SliceGroup& group, MatrixView<const float> a,
              MatrixView<const float> b, MatrixView<float> c);
void multiply(Stream<Cuda>& queue, const SliceGroup& group, MatrixView<const float> a,
              MatrixView<const float> b, MatrixView<float> c);

/// c.of(slice) [n x m] = a^T b over the samples of the slice, of a [samples x n] and b
/// [samples x m].
void multiply_transposed_left(Serial& queue, const SliceGroup& group, MatrixView<const float> a,
                              MatrixView<const float> b, const SliceMatrices& c);
void multiply_transposed_left(Stream<Cuda>& queue, const SliceGroup& group,
                              MatrixView<const float> a, MatrixView<const float> b,
                              const SliceMatrices& c);

/// c [samples x m] = a [samples x k] b^T, of b [m x k].
void multiply_transposed_right(Serial& queue, const SliceGroup& group, MatrixView<const float> a,
                               MatrixView<const float> b, MatrixView<float> c);
void multiply_transposed_right(Stream<Cuda>& queue, const SliceGroup& group,
                               MatrixView<const float> a, MatrixView<const float> b,
                               MatrixView<float> c);

/// Pins the code path of all products of this process: "native" takes the best path of the machine,
/// "avx2" a path that more machines share. A program calls this before its first product. Throws
/// Error{invalid_argument} where it is too late, or where the machine does not have the path.
void pin_gemm_code_path(std::string_view numerics);

/// The code path in use, for instance "avx512_core", and the version of oneDNN.
std::string gemm_code_path();
std::string gemm_version();

}  // namespace keyshard
