// A model of 26 features that read any number of tables, for counts of what a step does.
#pragma once

#include <cstdint>

#include <fmt/format.h>

#include "launch/training/trainer_options.hpp"

namespace keyshard::testing {

inline constexpr std::int64_t kFeatures = 26;

/// DeepFM of 26 features, which read `tables` tables in turn.
inline TrainerOptions options_of(std::int64_t tables) {
  TrainerOptions options;
  options.model.hidden = {16};
  options.slices = 16;
  const Optimizer adagrad = Adagrad{0.1f, 0.1f, 1e-7f, true};
  for (std::int64_t t = 0; t < tables; ++t) {
    TableOptions& table = options.embedding.tables.emplace_back();
    table.name = fmt::format("T{}", t);
    table.groups = {{"factor", 8, Normal{0.0f, 0.02f}, {}, adagrad, {}},
                    {"linear", 1, Constant{0.0f}, {}, adagrad, {}}};
  }
  for (std::int64_t f = 0; f < kFeatures; ++f) {
    options.embedding.features.push_back(
        {fmt::format("C{}", f + 1), static_cast<int>(f % tables), {Sum{}, Sum{}}});
  }
  return options;
}

}  // namespace keyshard::testing
