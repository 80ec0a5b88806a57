// The state of a training as a manifest holds it: read back through JSON, and refused by its key
// where a part is missing or of another kind; and the names of the dense tensors in it.
#include "launch/training/job_state.hpp"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

#include "launch/training/dense_tensors.hpp"
#include "runtime/error.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

using Table = SettingValue::Table;
using Array = SettingValue::Array;

SettingValue whole(std::int64_t number) { return value_of(number); }

SettingValue text(const char* word) { return value_of(std::string(word)); }

/// A state of two slices, with every part that a position is read from.
Table some_state() {
  return {{"slices", whole(2)},
          {"order", text("stream")},
          {"valid_order", text("files")},
          {"epoch", whole(3)},
          {"epoch_step", whole(4)},
          {"consumed", value_of(Array{whole(40), whole(41)})},
          {"data", text("000000000000000100000000000000ab")},
          {"valid_data", text("00000000000000000000000000000000")},
          {"numerics", text("avx2")},
          {"bad_lines", whole(9)},
          {"bad_lines_of_epoch", whole(2)},
          {"schedule", value_of(Array{whole(1), value_of(0.75), whole(30), whole(2), whole(1),
                                      value_of(0.5)})}};
}

SettingValue& entry(Table& table, const std::string& key) {
  for (auto& [name, found] : table) {
    if (name == key) {
      return found;
    }
  }
  throw std::out_of_range(key);
}

/// The position of a state that was written as JSON and parsed.
TrainingPosition position_of(const Table& state) {
  const SettingValue tree = parse_json(json_text(value_of(state)), "manifest.json");
  return position_in(ValueReader(tree, "manifest.json"));
}

/// Expects that a changed state is refused with the name of that key.
void expect_refused(const std::string& key, const std::function<void(Table&)>& change) {
  Table state = some_state();
  change(state);
  try {
    position_of(state);
    ADD_FAILURE() << "expected an error about " << key;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_NE(error.text().find("manifest.json"), std::string::npos) << error.text();
    EXPECT_NE(error.text().find(key), std::string::npos) << key << ": " << error.text();
  }
}

TEST(JobState, APositionIsReadAsItWasWritten) {
  const TrainingPosition position = position_of(some_state());

  EXPECT_EQ(position.reader, (ReaderPosition{3, 4, {40, 41}}));
  EXPECT_TRUE(position.schedule.any);
  EXPECT_EQ(position.schedule.best, 0.75);
  EXPECT_EQ(position.schedule.best_step, 30);
  EXPECT_EQ(position.schedule.worse, 2);
  EXPECT_EQ(position.schedule.since_decay, 1);
  EXPECT_EQ(position.schedule.scale, 0.5);
  EXPECT_EQ(position.train_order, ReadOrder::stream);
  EXPECT_EQ(position.valid_order, ReadOrder::files);
  EXPECT_EQ(position.data, (Digest128{0xAB, 0x1}));
  EXPECT_EQ(position.valid_data, Digest128{});
  EXPECT_EQ(position.bad_lines.total, 9);
  EXPECT_EQ(position.bad_lines.epoch, 2);
  EXPECT_EQ(position.numerics, "avx2");
}

TEST(JobState, OfAnEarlierVersionKnowsNoContent) {
  EXPECT_EQ(position_of(some_state()).content, Digest128{});
  EXPECT_EQ(position_of(some_state()).valid_content, Digest128{});
  Table state = some_state();
  state.emplace_back("content", text("000000000000000100000000000000ab"));
  state.emplace_back("valid_content", text("000000000000000200000000000000ab"));
  EXPECT_EQ(position_of(state).content, (Digest128{0xAB, 0x1}));
  EXPECT_EQ(position_of(state).valid_content, (Digest128{0xAB, 0x2}));
  state.pop_back();
  EXPECT_THROW(position_of(state), Error);
}

TEST(JobState, EveryMissingPartIsRefusedByItsName) {
  const Table state = some_state();
  for (std::size_t i = 0; i < state.size(); ++i) {
    expect_refused(state[i].first, [&](Table& changed) {
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    });
  }
}

TEST(JobState, EveryPartOfAnotherKindIsRefusedByItsName) {
  const Table state = some_state();
  for (const auto& [key, found] : state) {
    for (const SettingValue& other : {value_of(true), value_of(0.5), value_of(Table{}),
                                      value_of(Array{}), value_of(std::monostate{})}) {
      expect_refused(key, [&, name = key](Table& changed) { entry(changed, name) = other; });
    }
  }
}

TEST(JobState, RecordsAreOfAsManySlicesAsThereAre) {
  for (const std::int64_t slices : {0, 1, 3, -1}) {
    expect_refused("consumed", [&](Table& state) { entry(state, "slices") = whole(slices); });
  }
}

TEST(JobState, AScheduleHasSixParts) {
  expect_refused("schedule",
                 [](Table& state) { std::get<Array>(entry(state, "schedule").value).pop_back(); });
  expect_refused("schedule", [](Table& state) {
    std::get<Array>(entry(state, "schedule").value).push_back(whole(1));
  });
}

TEST(JobState, ADigestHasThirtyTwoLowerCaseDigits) {
  for (const char* wrong :
       {"", "00", "000000000000000100000000000000aB", "000000000000000100000000000000abc",
        "g00000000000000100000000000000ab"}) {
    expect_refused("data", [&](Table& state) { entry(state, "data") = text(wrong); });
  }
}

TEST(JobState, AnOrderIsOneThatAReaderHas) {
  for (const char* wrong : {"auto", "", "Blocks"}) {
    expect_refused("order", [&](Table& state) { entry(state, "order") = text(wrong); });
  }
}

TEST(JobState, ABestMetricNeedNotBeFinite) {
  const auto best_of = [](const SettingValue& best) {
    Table state = some_state();
    std::get<Array>(entry(state, "schedule").value)[1] = best;
    return position_of(state).schedule.best;
  };
  EXPECT_EQ(best_of(text("inf")), std::numeric_limits<double>::infinity());
  EXPECT_EQ(best_of(text("-inf")), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(best_of(text("nan"))));
  EXPECT_EQ(best_of(whole(1)), 1.0);
  EXPECT_THROW(best_of(text("large")), Error);
}

TEST(JobState, NumbersComeBackBitForBit) {
  for (const double best : {0.1, 1.0 / 3, 1e-300, 0.30000000000000004, 5e-324}) {
    Table state = some_state();
    std::get<Array>(entry(state, "schedule").value)[1] = value_of(best);
    EXPECT_EQ(position_of(state).schedule.best, best);
  }
}

TEST(JobState, OfSomethingThatIsNoTableIsRefused) {
  const SettingValue list = value_of(Array{});
  EXPECT_THROW(position_in(ValueReader(list, "manifest.json")), Error);
}

TEST(DenseTensors, AreNamedWithOffsetsAndShapesAndThoseOfAnotherModelAreRefused) {
  Parameters weights, statistics, other;
  weights.add("W1", 3, 2, InitialValue::glorot_uniform);
  weights.add("b1", 1, 2, InitialValue::zeros);
  other.add("W1", 2, 3, InitialValue::glorot_uniform);
  other.add("b1", 1, 2, InitialValue::zeros);
  const SettingValue state = parse_json(
      R"({"dense": {"weights": [{"name": "W1", "offset": 0, "shape": [3, 2]},
                                {"name": "b1", "offset": 6, "shape": [1, 2]}],
                    "statistics": []}})",
      "manifest.json");
  const SettingValue saved = value_of(Table{{"dense", dense_tensors_tree(weights, statistics)}});
  EXPECT_EQ(json_text(saved), json_text(state));
  EXPECT_EQ(dense_tensors_text(state), "dense weights: W1 [3, 2], b1 [1, 2]\n");
  check_dense_tensors("step-1", state, weights, statistics);
  try {
    check_dense_tensors("step-1", state, other, statistics);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Kind::corrupt_data);
    EXPECT_EQ(error.text(),
              "step-1: expected the dense weights W1 [2, 3], b1 [1, 2]: found W1 [3, 2], b1 "
              "[1, 2]");
  }

  // Checkpoints of earlier versions name no tensors.
  const SettingValue earlier = value_of(some_state());
  check_dense_tensors("step-1", earlier, other, statistics);
  EXPECT_EQ(dense_tensors_text(earlier), "");
}

}  // namespace
}  // namespace keyshard
