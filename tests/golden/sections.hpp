// The sections of golden files that run, a function each: given the whole file, it runs every case
// of its section. Tolerances are those of the golden README, whose table names them.
#pragma once

#include "tests/golden/report.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

void run_combiners(const GoldenValue& file, Report& report);
void run_optimizers(const GoldenValue& file, Report& report);
void run_partition(const GoldenValue& file, Report& report);
void run_random_initializers(const GoldenValue& file, Report& report);
void run_missing_keys(const GoldenValue& file, Report& report);

// squashed_layer
void run_squashed(const GoldenValue& file, Report& report);
void run_small(const GoldenValue& file, Report& report);
void run_ragged(const GoldenValue& file, Report& report);
void run_empty(const GoldenValue& file, Report& report);
void run_embedding(const GoldenValue& file, Report& report);
void run_refused(const GoldenValue& file, Report& report);
void run_output_shapes(const GoldenValue& file, Report& report);

// metrics
void run_classification(const GoldenValue& file, Report& report);
void run_regression(const GoldenValue& file, Report& report);

// dense
void run_models(const GoldenValue& file, Report& report);
void run_training(const GoldenValue& file, Report& report);

}  // namespace keyshard::testing
