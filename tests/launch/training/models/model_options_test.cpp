// [model] of a configuration: what it says, what it leaves out, and the messages about mistakes.
#include "launch/training/models/model_options.hpp"

#include <memory>

#include <gtest/gtest.h>

namespace keyshard {
namespace {

SettingValue value(std::variant<std::monostate, bool, std::int64_t, double, std::string,
                                SettingValue::Array, SettingValue::Table>
                       content) {
  return {std::move(content), "train.toml:1"};
}

SettingValue text(const char* content) { return value(std::string(content)); }

SettingValue widths(std::initializer_list<std::int64_t> numbers) {
  SettingValue::Array array;
  for (const std::int64_t number : numbers) {
    array.push_back(value(number));
  }
  return value(array);
}

struct Reading {
  ModelOptions options;
  std::vector<std::string> messages;
};

Reading read(SettingValue::Table table) {
  const SettingValue root = value(std::move(table));
  const auto problems = std::make_shared<SettingsReport>();
  ModelOptions options = read_model_options(Settings(root, "model", problems));
  return {options, problems->messages};
}

TEST(ModelOptions, AreReadFromTheConfiguration) {
  const Reading reading = read(
      {{"type", text("dlrm")},
       {"hidden", widths({400, 400})},
       {"bottom", widths({32})},
       {"batch_norm", value(true)},
       {"dropout", value(0.2)},
       {"l2", value(0.5)},
       {"optimizer",
        value(SettingValue::Table{{"type", text("adagrad")}, {"learning_rate", value(0.25)}})}});
  EXPECT_TRUE(reading.messages.empty());
  EXPECT_EQ(reading.options.type, ModelType::dlrm);
  EXPECT_EQ(reading.options.hidden, (std::vector<std::int64_t>{400, 400}));
  EXPECT_EQ(reading.options.bottom, (std::vector<std::int64_t>{32}));
  EXPECT_TRUE(reading.options.batch_norm);
  EXPECT_EQ(reading.options.dropout, 0.2);
  EXPECT_EQ(reading.options.l2, 0.5f);
  EXPECT_EQ(std::get<Adagrad>(reading.options.optimizer).learning_rate, 0.25f);
}

TEST(ModelOptions, TheLossIsThatOfTheModelUnlessItIsNamed) {
  EXPECT_EQ(read({{"type", text("mf")}}).options.loss, Loss::squared_error);
  EXPECT_EQ(read({{"type", text("fm")}}).options.loss, Loss::log_loss);
  EXPECT_EQ(read({{"type", text("fm")}, {"loss", text("squared_error")}}).options.loss,
            Loss::squared_error);
}

TEST(ModelOptions, EveryTypeIsKnownByItsName) {
  for (const char* name : {"logistic", "mlp", "fm", "mf", "widedeep", "deepfm", "dlrm", "dcnv2"}) {
    EXPECT_STREQ(name_of(read({{"type", text(name)}}).options.type), name);
  }
}

TEST(ModelOptions, CrossLayersAreThoseOfDcnV2Alone) {
  const Reading plain = read({{"type", text("dcnv2")}});
  EXPECT_TRUE(plain.messages.empty());
  EXPECT_EQ(plain.options.cross_layers, 3);
  EXPECT_EQ(plain.options.cross_rank, 0);
  EXPECT_TRUE(plain.options.stacked);
  const Reading given = read({{"type", text("dcnv2")},
                              {"cross_layers", value(std::int64_t{2})},
                              {"cross_rank", value(std::int64_t{64})},
                              {"structure", text("parallel")}});
  EXPECT_TRUE(given.messages.empty());
  EXPECT_EQ(given.options.cross_layers, 2);
  EXPECT_EQ(given.options.cross_rank, 64);
  EXPECT_FALSE(given.options.stacked);
  EXPECT_EQ(read({{"type", text("dcnv2")}, {"cross_layers", value(std::int64_t{0})}}).messages,
            std::vector<std::string>{"train.toml:1: model.cross_layers: expected an integer from 1 "
                                     "to 100: found 0"});
  EXPECT_EQ(
      read({{"type", text("dlrm")}, {"structure", text("parallel")}}).messages,
      std::vector<std::string>{"train.toml:1: model.structure: expected model.type = \"dcnv2\", "
                               "which has cross layers: found \"dlrm\""});
}

TEST(ModelOptions, LayersThatAModelLacksAreRefusedWithTheModelsThatHaveThem) {
  const std::string hidden =
      "expected model.type = \"mlp\" or \"widedeep\" or \"deepfm\" or \"dlrm\" or \"dcnv2\", which "
      "has hidden layers: found \"fm\"";
  EXPECT_EQ(read({{"type", text("fm")}, {"hidden", widths({3})}}).messages,
            std::vector<std::string>{"train.toml:1: model.hidden: " + hidden});
  EXPECT_EQ(read({{"type", text("fm")}, {"dropout", value(0.5)}}).messages,
            std::vector<std::string>{"train.toml:1: model.dropout: " + hidden});
  EXPECT_EQ(read({{"type", text("mlp")}, {"bottom", widths({3})}}).messages,
            std::vector<std::string>{"train.toml:1: model.bottom: expected model.type = \"dlrm\", "
                                     "which has bottom layers: found \"mlp\""});
}

TEST(ModelOptions, MistakesAreAllReported) {
  EXPECT_EQ(read({{"hidden", widths({0})}}).messages.size(), 1u);
  EXPECT_EQ(read({{"type", text("depfm")}, {"hiden", widths({3})}}).messages.size(), 2u);
}

TEST(ModelOptions, TheDensePartTakesEveryOptimizerOfSingleNumbers) {
  for (const char* name :
       {"sgd", "momentum", "adagrad", "adagrad_da", "adadelta", "adam", "amsgrad", "adamw",
        "adamax", "nadam", "rmsprop", "ftrl", "proximal_sgd", "proximal_adagrad"}) {
    const Reading reading = read({{"optimizer", text(name)}});
    EXPECT_TRUE(reading.messages.empty()) << name;
    EXPECT_STREQ(name_of(reading.options.optimizer), name);
  }
  for (const std::string name : {"rowwise_adagrad", "lamb"}) {
    EXPECT_EQ(read({{"optimizer", text(name.c_str())}}).messages,
              std::vector<std::string>{
                  "train.toml:1: model.optimizer: expected an optimizer of single numbers: found " +
                  name});
  }
}

TEST(ModelOptions, ColumnGroupsAreThoseThatTheModelReads) {
  using Groups = std::vector<std::string>;
  EXPECT_EQ(column_groups(ModelType::logistic), (Groups{"linear"}));
  EXPECT_EQ(column_groups(ModelType::dlrm), (Groups{"factor"}));
  EXPECT_EQ(column_groups(ModelType::mlp), (Groups{"factor"}));
  EXPECT_EQ(column_groups(ModelType::dcnv2), (Groups{"factor"}));
  for (const ModelType type :
       {ModelType::fm, ModelType::mf, ModelType::widedeep, ModelType::deepfm}) {
    EXPECT_EQ(column_groups(type), (Groups{"factor", "linear"}));
  }
}

}  // namespace
}  // namespace keyshard
