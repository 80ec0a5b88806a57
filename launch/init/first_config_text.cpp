// FirstConfig as TOML.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "launch/init/first_config.hpp"
#include "runtime/joined.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

/// A text as TOML has it: the strings of JSON are strings of TOML.
std::string quoted(const std::string& text) { return json_text(value_of(text)); }

std::string list_of(const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  std::transform(texts.begin(), texts.end(), std::back_inserter(all), quoted);
  return "[" + joined(all, ", ") + "]";
}

/// A batch that an epoch has some hundred of, and 256 to 4,096 samples.
std::int64_t batch_size(double records) {
  const double wanted = records > 0 ? records / 200 : 4096;
  return std::int64_t{1} << std::clamp(static_cast<int>(std::log2(std::max(wanted, 1.0))), 8, 12);
}

const char* role_text(ColumnRole role) {
  return role == ColumnRole::label   ? "label"
         : role == ColumnRole::dense ? "dense"
         : role == ColumnRole::id    ? "id"
         : role == ColumnRole::ids   ? "ids"
                                     : "ignore";
}

std::string dense_text(const ColumnOptions& column) {
  if (!column.buckets.empty()) {
    return fmt::format("buckets = [{}]\n", joined(column.buckets, ", "));
  }
  return column.transform == DenseTransform::log ? "transform = \"log\"\n"
         : column.transform == DenseTransform::standard
             ? fmt::format("transform = \"standard\"\nmean = {}\nstddev = {}\n", column.mean,
                           column.stddev)
             : "";
}

/// The keys of a column. One that is ignored needs none, but stands there to be used.
std::string column_text(const ColumnGuess& guess, const TextSyntax& syntax) {
  const ColumnOptions& column = guess.options;
  std::string text =
      fmt::format("\n# {}\n[[data.columns]]\nname = {}\n", guess.why, quoted(column.name));
  // JSON writes another text for a name that is no UTF-8.
  const bool is_text = quoted(column.name).find("\xEF\xBF\xBD") == std::string::npos;
  const bool by_name = syntax.header && is_text &&
                       syntax.names[static_cast<std::size_t>(column.index)] == column.name;
  text += by_name ? "" : fmt::format("index = {}\n", column.index);
  text += fmt::format("role = \"{}\"\n", role_text(column.role));
  if (column.missing) {
    text += fmt::format("missing = {}\n", list_of(*column.missing));
  }
  if (!column.positive.empty()) {
    text += fmt::format("positive = {}\n", list_of(column.positive));
  }
  if (column.role == ColumnRole::dense) {
    text += dense_text(column);
  }
  if (column.has_ids()) {
    text += column.integer ? "type = \"integer\"\n" : "";
    text += column.missing_is_id ? "on_missing = \"own\"  # a missing cell is an id too\n" : "";
  }
  if (column.role == ColumnRole::ids) {
    text += fmt::format("list_separator = {}\n", quoted(column.list_separator));
  }
  return text;
}

std::string files_text(const FirstConfig& config) {
  std::string text = fmt::format("train = {}\n", list_of(config.files.train));
  text += config.files.valid.empty()
              ? "# No file looked like validation data: a tenth of the training records is.\n"
                "split = { valid = 0.1 }\n"
              : fmt::format("valid = {}\n", list_of(config.files.valid));
  return text +
         (config.files.test.empty() ? "" : fmt::format("test = {}\n", list_of(config.files.test)));
}

std::string syntax_text(const FirstConfig& config) {
  const TextSyntax& syntax = config.syntax;
  std::string text = fmt::format("separator = {}\nheader = {}  # {}\n", quoted(syntax.separator),
                                 syntax.header, syntax.sure);
  text += syntax.quote ? "quote = true  # cells in quotes\n" : "";
  text += syntax.trim ? "trim = true  # blanks around cells\n" : "";
  text += syntax.skip_lines > 0 ? fmt::format("skip_lines = {}\n", syntax.skip_lines) : "";
  for (const auto& [key, lines] : {std::pair("valid_skip_lines", config.valid_skip_lines),
                                   {"test_skip_lines", config.test_skip_lines}}) {
    text += lines >= 0 ? fmt::format("{} = {}\n", key, lines) : "";
  }
  return text +
         (config.missing.empty() ? "" : fmt::format("missing = {}\n", list_of(config.missing)));
}

}  // namespace

std::string FirstConfig::text() const {
  std::string text = fmt::format(
      "# Made by `keyshard init`, which looked at the first records. The lines above columns say\n"
      "# what it guessed and why: check them. A column with the role \"ignore\" is not read.\n"
      "config_version = 1\n\n"
      "[job]\noutput = \"out\"  # checkpoints, metrics, log\nepochs = 10\nbatch_size = {}\n"
      "patience = 2  # evaluations without a better {} end the training\n\n"
      "[data]\n{}{}\n"
      "[model]\ntype = \"deepfm\"  # logistic, mlp, fm, mf, widedeep, dlrm, dcnv2\nhidden = [128, "
      "64]\n{}\n"
      "[embedding]  # of every column of ids\ndim = 8\n"
      "optimizer = {{ type = \"adagrad\", learning_rate = 0.05 }}\n",
      batch_size(records), rates ? "RMSE" : "AUC", files_text(*this), syntax_text(*this),
      rates ? "loss = \"squared_error\"  # the label is a number, and no class\n" : "");
  for (const ColumnGuess& column : columns) {
    text += column_text(column, syntax);
  }
  return text;
}

}  // namespace keyshard
