// DCN-v2: x_0 = concat(v_1, ..., v_F, x); c = CROSS(x_0), the cross network; the logit is
//   stacked   MLP(c)
//   parallel  MLP(x_0) + c w
// The parallel form is one linear layer over the last hidden layer of the network and c.
// Source: Wang et al., DCN V2, WWW 2021.
#pragma once

#include "launch/training/models/cross_network.hpp"
#include "launch/training/models/model.hpp"

namespace keyshard {

template <Backend B>
class DcnModel : public Model<B> {
 public:
  /// Expects a shape that fits the model.
  DcnModel(const ModelOptions& options, const ModelShape& shape);

 private:
  void run(const Pass<B>& pass, const GroupInput& input, const GroupOutput& output) const override;

  MatrixView<float> backward(const Pass<B>& pass, const std::vector<CrossTrace>& cross,
                             const MlpTrace& deep, MatrixView<float> slopes) const;

  std::int64_t width_;
  CrossNetwork<B> cross_;
  Mlp<B> deep_;
  int cross_weight_ = -1;  // wcross [width x 1]; none where the two parts are stacked
};

}  // namespace keyshard
