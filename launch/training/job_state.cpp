#include "launch/training/job_state.hpp"

#include "embedding/rules/partitioners.hpp"
#include "io/data_options.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

SettingValue schedule_value(const ScheduleState& s) {
  return value_of(SettingValue::Array{value_of(std::int64_t{s.any}), real_value(s.best),
                                      value_of(s.best_step), value_of(s.worse),
                                      value_of(s.since_decay), real_value(s.scale)});
}

ScheduleState schedule_in(const ValueReader& saved) {
  const std::vector<ValueReader> parts = saved.entries(6);
  return {parts[0].integer() != 0, parts[1].real(),    parts[2].integer(),
          parts[3].integer(),      parts[4].integer(), parts[5].real()};
}

ReadOrder order_in(const ValueReader& saved) {
  for (const ReadOrder order : {ReadOrder::blocks, ReadOrder::files, ReadOrder::stream}) {
    if (saved.text() == name_of(order)) {
      return order;
    }
  }
  fail(Kind::corrupt_data, "{}: expected an order of reading: found \"{}\"", saved.path(),
       saved.text());
}

}  // namespace

SettingValue state_value(TrainerState trainer, const TrainingPosition& position) {
  return value_of(
      SettingValue::Table{{"slices", value_of(trainer.slices)},
                          {"shards", value_of(kShards)},
                          {"seed", value_of(static_cast<std::int64_t>(trainer.seed))},
                          {"order", value_of(std::string(name_of(position.train_order)))},
                          {"valid_order", value_of(std::string(name_of(position.valid_order)))},
                          {"epoch", value_of(position.reader.epoch)},
                          {"epoch_step", value_of(position.reader.step)},
                          {"consumed", value_of(position.reader.consumed)},
                          {"data", value_of(position.data.hex())},
                          {"valid_data", value_of(position.valid_data.hex())},
                          {"content", value_of(position.content.hex())},
                          {"valid_content", value_of(position.valid_content.hex())},
                          {"numerics", value_of(position.numerics)},
                          {"bad_lines", value_of(position.bad_lines.total)},
                          {"bad_lines_of_epoch", value_of(position.bad_lines.epoch)},
                          {"table_clocks", std::move(trainer.table_clocks)},
                          {"dense_clock", std::move(trainer.dense_clock)},
                          {"dense", std::move(trainer.dense_tensors)},
                          {"schedule", schedule_value(position.schedule)}});
}

TrainingPosition position_in(const ValueReader& state) {
  TrainingPosition position;
  position.reader.epoch = state.at("epoch").integer();
  position.reader.step = state.at("epoch_step").integer();
  for (const ValueReader& records : state.at("consumed").entries(state.at("slices").integer())) {
    position.reader.consumed.push_back(records.integer());
  }
  position.schedule = schedule_in(state.at("schedule"));
  position.train_order = order_in(state.at("order"));
  position.valid_order = order_in(state.at("valid_order"));
  position.data = state.at("data").digest();
  position.valid_data = state.at("valid_data").digest();
  if (member_of(state.value(), "content") != nullptr) {  // earlier versions did not save these
    position.content = state.at("content").digest();
    position.valid_content = state.at("valid_content").digest();
  }
  position.bad_lines = {state.at("bad_lines").integer(), state.at("bad_lines_of_epoch").integer()};
  position.numerics = state.at("numerics").text();
  return position;
}

}  // namespace keyshard
