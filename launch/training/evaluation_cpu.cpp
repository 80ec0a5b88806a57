#include "launch/training/evaluation_impl.hpp"

namespace keyshard {

template SplitMetrics evaluate_split(
    Trainer<Cpu>&, DataReader&, const EvaluationPlan&,
    const std::function<void(const Batch&, const std::vector<float>&)>&);

}  // namespace keyshard
