#include "launch/bench/measures.hpp"

#include "launch/bench/device_measures.hpp"

namespace keyshard {

void measure_update(BenchContext& context) {
  if (context.communicator().size() > 1) {
    context.report().say("update: a table of one rank; skipped on several");
    return;
  }
  run_device_measures<Cpu>({context, context.communicator(), context.stream(), {context.dim()}},
                           {"update"});
}

const std::vector<NamedMeasure>& all_measures() {
  static const std::vector<NamedMeasure> all{
      {"find", "rows of distinct keys", &measure_find},
      {"dedup", "distinct ids of a step", &measure_dedup},
      {"lookup", "rows or sums of bags of existing keys", &measure_lookup},
      {"pool", "layers that pool bags, by combiner; what options cost beside a plain step",
       &measure_pool},
      {"insert", "rows of new keys while the table grows", &measure_insert},
      {"update", "an optimizer step of rows that are known, by load", &measure_update},
      {"train", "sparse training step", &measure_train},
      {"same-bits", "the step with 16 slices against one slice", &measure_same_bits},
      {"exchange", "what a step sends between ranks, alone", &measure_exchange},
      {"model", "whole training step with a network", &measure_model},
      {"overlap", "the same with the ids of the next batch under way, against without",
       &measure_overlap},
      {"job", "whole jobs, reading text included, by batch size and threads", &measure_job},
      {"scale", "bytes between ranks, counted and by formula", &measure_scale},
      {"rows", "memory of a row", &measure_rows},
      {"save", "save and load of ten million rows", &measure_checkpoint},
      {"text", "the parser of text", &measure_text},
      {"store", "rows that come from stores, and steps of their tables", &measure_store},
  };
  return all;
}

}  // namespace keyshard
