// The optimizers of rows: small structs whose `update` makes one step of one row, on the row's
// values and its state. Lazy: only the rows of a step are touched. Formulas and defaults are
// TensorFlow's (tf_keras, and TF1's where that is the only one), row-wise Adagrad is FBGEMM's. A
// dense parameter vector is updated as one long row. w are the values, g the gradient, lr the
// learning rate times the factor of the schedule. Adam and its kin are in adam.hpp and lamb.hpp,
// those with l1 and l2 of their own in proximal.hpp, those that forget old squares in rmsprop.hpp;
// optimizer_rule.hpp says what the struct of an optimizer has.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "embedding/rules/adam.hpp"
#include "embedding/rules/lamb.hpp"
#include "embedding/rules/optimizer_rule.hpp"
#include "embedding/rules/own_optimizer.hpp"
#include "embedding/rules/proximal.hpp"
#include "embedding/rules/rmsprop.hpp"
#include "runtime/team.hpp"

namespace keyshard {

/// What is done to the gradient and the values of a key before the optimizer's own step. The
/// gradient is summed over all occurrences of the key first; then it is clipped by value, then by
/// norm; then L2 is added, which no clip bounds; then the weights decay.
struct Regularization {
  double l2 = 0;  ///< lambda: adds lambda w to the gradient, once per step and touched key
  bool l2_per_occurrence =
      false;  ///< adds lambda (occurrences of the key / valid samples of the batch) w instead
  double weight_decay =
      0;  ///< w -= learning rate * weight_decay * w, before the step, once per step and touched key
  double clip_value = 0;  ///< bound of the size of each number of the gradient; 0: none
  double clip_norm = 0;   ///< bound of the gradient's Euclidean norm over the column group; 0: none
};

/// w -= lr g
struct Sgd {
  static constexpr const char* kName = "sgd";
  static constexpr int kStates = 0;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.01;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
  }

  std::array<StateRule, kStates> states() const { return {}; }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* /*state*/,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - rate * g[d];
    }
  }
};

/// m = momentum m - lr g; w += m, or with nesterov w += momentum m - lr g. State: m [dim].
struct Momentum {
  static constexpr const char* kName = "momentum";
  static constexpr int kStates = 1;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.01;
  double momentum = 0.9;
  bool nesterov = false;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("momentum", self.momentum, 0);
    field("nesterov", self.nesterov);
  }

  std::array<StateRule, kStates> states() const { return {{{"m"}}}; }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step), keep = static_cast<T>(momentum);
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T m = keep * state[d] - rate * g[d];
      state[d] = m;
      w[d] = w[d] + (nesterov ? keep * m - rate * g[d] : m);
    }
  }
};

/// h += g^2; w -= lr g / sqrt(h + epsilon), or with epsilon_outside w -= lr g / (sqrt(h) +
/// epsilon). State: h [dim].
struct Adagrad {
  static constexpr const char* kName = "adagrad";
  static constexpr int kStates = 1;
  static constexpr Widths kWidths = Widths::usual;
  double learning_rate = 0.001;
  double initial_accumulator = 0.1;
  double epsilon = 1e-7;
  bool epsilon_outside = false;  ///< for programs: no key of a configuration

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("initial_accumulator", self.initial_accumulator, 0);
    field("epsilon", self.epsilon, 0);
  }

  std::array<StateRule, kStates> states() const { return {{{"accumulator", initial_accumulator}}}; }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T rate = rate_of<T>(learning_rate, step), tiny = static_cast<T>(epsilon);
    if (epsilon_outside) {
      for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
        const T h = state[d] + g[d] * g[d];
        state[d] = h;
        w[d] = w[d] - rate * g[d] / (std::sqrt(h) + tiny);
      }
      return;
    }
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      const T h = state[d] + g[d] * g[d];
      state[d] = h;
      w[d] = w[d] - rate * g[d] / std::sqrt(h + tiny);
    }
  }
};

/// One number of state per row: h += mean of g^2 over the row; w -= lr / (sqrt(h) + epsilon) g.
/// FBGEMM's EXACT_ROWWISE_ADAGRAD.
struct RowwiseAdagrad {
  static constexpr const char* kName = "rowwise_adagrad";
  static constexpr int kStates = 1;
  static constexpr Widths kWidths = Widths::usual;
  static constexpr bool kWholeRow = true;
  double learning_rate = 0.01;
  double initial_accumulator = 0;
  double epsilon = 1e-8;

  template <class Self, class Field>
  static void fields(Self& self, const Field& field) {
    field("learning_rate", self.learning_rate, 0);
    field("initial_accumulator", self.initial_accumulator, 0);
    field("epsilon", self.epsilon, 0);
  }

  std::array<StateRule, kStates> states() const {
    return {{{"row_accumulator", initial_accumulator, StateWidth::one}}};
  }

  template <class Team, class T, class Dim>
  KEYSHARD_HD void update(const Team& team, T* KEYSHARD_RESTRICT w, T* KEYSHARD_RESTRICT state,
                          const T* KEYSHARD_RESTRICT g, Dim dim, const StepScalars& step) const {
    const T sum = strided_sum<T>(team, dim, [&](std::int64_t d) { return g[d] * g[d]; });
    const T h = state[0] + sum / static_cast<T>(dim);
    team.sync();
    if (team.thread_rank() == 0) {
      state[0] = h;
    }
    const T factor = rate_of<T>(learning_rate, step) / (std::sqrt(h) + static_cast<T>(epsilon));
    for (std::int64_t d = team.thread_rank(); d < dim; d += team.num_threads()) {
      w[d] = w[d] - factor * g[d];
    }
  }
};

class Settings;
struct SettingValue;

template <class... Own>
using OptimizersAnd =
    std::variant<Sgd, Momentum, Adagrad, RowwiseAdagrad, Adam, Ftrl, Nadam, AdamW, AmsGrad, Adamax,
                 Lamb, AdagradDa, ProximalSgd, ProximalAdagrad, Adadelta, RmsProp, Own...>;

/// The table of the family (family.hpp).
using BuiltInOptimizer = OptimizersAnd<>;
using Optimizer = OptimizersAnd<OwnOptimizer>;

/// One state of an optimizer: [width] numbers per row, each `initial` before the first step.
struct StateColumn {
  std::string name;
  std::int64_t width = 0;
  double initial = 0;
};

/// The name of an optimizer in files.
const char* name_of(const Optimizer& optimizer);

/// Whether the step of a number depends on the other numbers of its row. Dense parameters, which
/// have no rows, take no such optimizer.
bool needs_whole_row(const Optimizer& optimizer);

/// The configured learning rate, before any schedule; 1 for an optimizer of a program that has
/// none.
double learning_rate_of(const Optimizer& optimizer);

/// The states of an optimizer for rows of `dim` numbers, in the order in which they lie.
std::vector<StateColumn> state_columns(const Optimizer& optimizer, std::int64_t dim);

/// Reads a table `type = NAME` and the keys of that optimizer; `otherwise` where there is no type.
/// Problems are recorded in `settings`.
Optimizer read_optimizer(Settings settings, const Optimizer& otherwise,
                         const OwnRules& own = no_own_rules());

/// The optimizer of such a table, for a tree that stands in no configuration file. Throws
/// Error{invalid_argument} with all of its problems.
Optimizer optimizer_of(const SettingValue& tree, const OwnRules& own = no_own_rules());

/// The table that `optimizer_of` reads back as this optimizer.
SettingValue optimizer_tree(const Optimizer& optimizer);

/// The clock of one optimizer: counts its steps and keeps the numbers that follow from the count,
/// as running products, never by pow.
class OptimizerClock {
 public:
  explicit OptimizerClock(const Optimizer& optimizer);

  /// Advances by one step and returns what the rows of that step need.
  StepScalars tick(double learning_rate_scale);

  std::int64_t step() const noexcept { return step_; }

  /// The numbers of the clock, as many as kClock of the optimizer has.
  const std::vector<double>& numbers() const noexcept { return numbers_; }

  /// Sets the clock to that of a checkpoint. Throws Error{invalid_argument} where the optimizer has
  /// another count of numbers.
  void restore(std::int64_t step, std::vector<double> numbers);

 private:
  Optimizer optimizer_;
  std::int64_t step_ = 0;
  std::vector<double> numbers_;
};

}  // namespace keyshard
