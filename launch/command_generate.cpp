#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "io/generated_reader.hpp"
#include "launch/click_log.hpp"
#include "launch/commands.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

/// The start of a configuration that trains DeepFM on the files beside it, up to the columns.
constexpr const char* kExampleStart =
    R"(# DeepFM on a generated click log. Run: keyshard train click-log.toml
config_version = 1

[job]
output = "out"
epochs = 1
batch_size = 4096

[data]
format = "text"
train = ["train.tsv"]
valid = ["valid.tsv"]
separator = "\t"

[model]
type = "deepfm"
hidden = [128, 64]

[embedding]
dim = 8
initializer = { type = "normal", stddev = 0.01 }
optimizer = { type = "adagrad", learning_rate = 0.05 }

[embedding.linear]
optimizer = { type = "adagrad", learning_rate = 0.05 }
)";

}  // namespace

int run_generate(const GenerateCommand& command) {
  GeneratorOptions options;
  options.records = command.records;
  options.valid_records = command.valid_records;
  options.features = command.features;
  options.ragged = command.ragged;
  options.dense = command.dense;
  options.vocabulary = command.vocabulary;
  options.zipf = command.zipf;
  options.seed = static_cast<std::uint64_t>(command.seed);
  require(options.ragged <= options.features, Kind::invalid_argument,
          "expected --ragged of at most the {} features: found {}", options.features,
          options.ragged);
  const std::filesystem::path folder(command.folder);
  std::filesystem::create_directories(folder);
  write_generated_text(options, Split::train, (folder / "train.tsv").string());
  write_generated_text(options, Split::valid, (folder / "valid.tsv").string());
  std::ofstream config(folder / "click-log.toml");
  config << kExampleStart << click_log_columns(options);
  config.close();
  require(config.good(), Kind::io, "{}: cannot be written", (folder / "click-log.toml").string());
  fmt::print("{}: {} records to train and {} to validate, {} features\n", command.folder,
             options.records, options.valid_records, options.features);
  fmt::print("best possible validation AUC {:.4f}\n",
             ClickGenerator(options).best_auc(Split::valid));
  return kExitDone;
}

}  // namespace keyshard
