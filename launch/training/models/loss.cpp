#include "launch/training/models/loss.hpp"

namespace keyshard {

void scores_of(Loss loss, Span<const float> logits, float* scores) {
  for (std::int64_t i = 0; i < logits.size(); ++i) {
    scores[i] = loss == Loss::squared_error
                    ? logits[i]
                    : static_cast<float>(sigmoid(static_cast<double>(logits[i])));
  }
}

}  // namespace keyshard
