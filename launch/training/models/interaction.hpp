// Products between the embeddings of one sample: the pairs of a factorisation machine, and the dots
// of DLRM. Embeddings lie feature after feature, `dim` numbers each. Each sum is sequential;
// independent sums lie side by side, so that several are computed at once.
#pragma once

#include <cstdint>

#include "launch/training/models/pass.hpp"
#include "runtime/view.hpp"

namespace keyshard {

/// logits[i] += 1/2 sum_d ((sum_f v_fd)^2 - sum_f v_fd^2), v = row i of `factors` [n x F dim].
/// sums [n x dim] keeps sum_f v_fd for the gradient.
/// Source: Rendle, Factorization machines, ICDM 2010.
template <Backend B>
void add_pairs(const Pass<B>& pass, MatrixView<const float> factors, MatrixView<float> sums,
               float* logits);

/// gradient [n x F dim] += slopes[i] (sum_f v_fd - v_fd).
template <Backend B>
void add_pairs_gradient(const Pass<B>& pass, MatrixView<const float> factors,
                        MatrixView<const float> sums, const float* slopes,
                        MatrixView<float> gradient);

/// The dots of DLRM among t = (z, v_1, ..., v_F). Source: Naumov et al., arXiv:1906.00091.
template <Backend B>
class DotInteraction {
 public:
  DotInteraction(std::int64_t features, std::int64_t dim) : terms_(features + 1), dim_(dim) {}

  /// dim + the number of pairs.
  std::int64_t outputs() const { return dim_ + terms_ * (terms_ - 1) / 2; }

  /// top [n x outputs()] = z, then t_i . t_j for i > j in the order (1,0), (2,0), (2,1), ...; of z
  /// [n x dim] and factors [n x F dim].
  void forward(const Pass<B>& pass, MatrixView<const float> z, MatrixView<const float> factors,
               MatrixView<float> top) const;

  /// What backward reads and writes.
  struct Gradients {
    MatrixView<const float> top;
    MatrixView<float> z;
    MatrixView<float> factors;
  };

  /// Writes the gradients of z and factors from the gradient of top.
  void backward(const Pass<B>& pass, MatrixView<const float> z, MatrixView<const float> factors,
                const Gradients& gradients) const;

 private:
  std::int64_t terms_;
  std::int64_t dim_;
};

}  // namespace keyshard
