// The models whose logit is a sum of terms (logistic, mlp, fm, mf, widedeep, deepfm):
//   linear  bias + x . wx + sum_f w_f
//   pairs   1/2 sum_d ((sum_f v_fd)^2 - sum_f v_fd^2)
//   deep    MLP(concat(v_1, ..., v_F, x))
// Biased matrix factorisation is the linear term and the pairs of two features: v_0 . v_1.
#pragma once

#include <optional>

#include "launch/training/models/model.hpp"

namespace keyshard {

template <Backend B>
class AdditiveModel : public Model<B> {
 public:
  /// Expects a shape that fits the model.
  AdditiveModel(const ModelOptions& options, const ModelShape& shape);

 private:
  void run(const Pass<B>& pass, const GroupInput& input, const GroupOutput& output) const override;

  void linear_forward(const Pass<B>& pass, const GroupInput& input, float* logits) const;
  void linear_backward(const Pass<B>& pass, const GroupInput& input, const float* slopes,
                       const GroupOutput& output) const;
  MlpTrace deep_forward(const Pass<B>& pass, const GroupInput& input, float* logits) const;
  void deep_backward(const Pass<B>& pass, const MlpTrace& trace, float* slopes,
                     const GroupOutput& output) const;

  bool linear_;
  std::int64_t pairs_dim_ = 0;  ///< of every feature; 0: no pairs
  std::int64_t factor_columns_;
  int bias_ = -1;
  int dense_weight_ = -1;  ///< wx; none where there are no dense columns
  std::optional<Mlp<B>> deep_;
};

}  // namespace keyshard
