// The sections of golden files that the runner runs, a function each: it gets the whole file and
// runs every case of its section. Tolerances are those in the table of the golden README.
#pragma once

#include "tests/golden/report.hpp"
#include "tests/support/golden_file.hpp"

namespace keyshard::testing {

void run_combiners(const GoldenValue& file, Report& report);
void run_optimizers(const GoldenValue& file, Report& report);
void run_weighted(const GoldenValue& file, Report& report);
void run_restrict(const GoldenValue& file, Report& report);
void run_partition(const GoldenValue& file, Report& report);
void run_fingerprints(const GoldenValue& file, Report& report);
void run_random_initializers(const GoldenValue& file, Report& report);
void run_missing_keys(const GoldenValue& file, Report& report);
void run_write_back(const GoldenValue& file, Report& report);
void run_layer_step(const GoldenValue& file, Report& report);
void run_cross_talk(const GoldenValue& file, Report& report);
void run_max_norm_reads(const GoldenValue& file, Report& report);
void run_max_norm_training(const GoldenValue& file, Report& report);

// squashed_layer
void run_squashed(const GoldenValue& file, Report& report);
void run_small(const GoldenValue& file, Report& report);
void run_ragged(const GoldenValue& file, Report& report);
void run_ragged_two_axes(const GoldenValue& file, Report& report);
void run_empty(const GoldenValue& file, Report& report);
void run_embedding(const GoldenValue& file, Report& report);
void run_refused(const GoldenValue& file, Report& report);
void run_field_wise(const GoldenValue& file, Report& report);
void run_configs(const GoldenValue& file, Report& report);
void run_output_shapes(const GoldenValue& file, Report& report);

// metrics
void run_classification(const GoldenValue& file, Report& report);
void run_regression(const GoldenValue& file, Report& report);

// dense
void run_models(const GoldenValue& file, Report& report);
void run_training(const GoldenValue& file, Report& report);

}  // namespace keyshard::testing
