// Products of row-major matrices. On a CPU they are oneDNN's (this is the one home of <dnnl.h>): a
// product runs on the calling thread alone, because the number of threads changes its bits; its
// shape, leading dimensions and transposition must therefore depend on the slice alone. Nothing is
// ever added to what stands in the result, and the inner dimension is never cut.
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

// The same for each slice of a group: a, and c or b where they have a row per sample, hold the
// samples of the group. The product of a slice has the bits of that slice alone.

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

/// Pins the code path of all products of this process: "native" takes the best one of the machine,
/// "avx2" one that more machines share. To be called by a program before its first product; a path
/// that comes too late, or that the machine does not have, throws Error{invalid_argument}.
void pin_gemm_code_path(std::string_view numerics);

/// The code path in use, for instance "avx512_core", and the version of oneDNN.
std::string gemm_code_path();
std::string gemm_version();

}  // namespace keyshard
