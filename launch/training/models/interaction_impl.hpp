// The products between embeddings, for any device.
#pragma once

#include "launch/training/models/interaction.hpp"
#include "launch/training/models/interaction_functors.hpp"

namespace keyshard {

template <Backend B>
void add_pairs(const Pass<B>& pass, MatrixView<const float> factors, MatrixView<float> sums,
               float* logits) {
  const MatrixView<float> squares = pass.workspace.row_scratch(pass.queue, sums.rows, sums.cols);
  for_each_row(pass.queue, factors.rows, AddPairs{factors, sums, squares, logits});
}

template <Backend B>
void add_pairs_gradient(const Pass<B>& pass, MatrixView<const float> factors,
                        MatrixView<const float> sums, const float* slopes,
                        MatrixView<float> gradient) {
  for_each_row(pass.queue, factors.rows, AddPairsGradient{factors, sums, slopes, gradient});
}

template <Backend B>
void DotInteraction<B>::forward(const Pass<B>& pass, MatrixView<const float> z,
                                MatrixView<const float> factors, MatrixView<float> top) const {
  const std::int64_t stride = Workspace<B>::padded_row(terms_);
  const MatrixView<float> scratch = pass.workspace.row_scratch(pass.queue, z.rows, dim_ * stride);
  for_each_row(pass.queue, z.rows, DotsOfRow{{z, factors, terms_, dim_}, scratch, stride, top});
}

template <Backend B>
void DotInteraction<B>::backward(const Pass<B>& pass, MatrixView<const float> z,
                                 MatrixView<const float> factors,
                                 const Gradients& gradients) const {
  const std::int64_t terms_stride = Workspace<B>::padded_row(dim_);
  const std::int64_t slopes_stride = Workspace<B>::padded_row(terms_);
  const auto scratch = [&](std::int64_t stride) {
    return pass.workspace.row_scratch(pass.queue, z.rows, terms_ * stride);
  };
  for_each_row(pass.queue, z.rows,
               DotGradientsOfRow{.terms = {z, factors, terms_, dim_},
                                 .terms_scratch = scratch(terms_stride),
                                 .terms_stride = terms_stride,
                                 .slopes_scratch = scratch(slopes_stride),
                                 .slopes_stride = slopes_stride,
                                 .top = gradients.top,
                                 .z = gradients.z,
                                 .factors = gradients.factors});
}

}  // namespace keyshard
