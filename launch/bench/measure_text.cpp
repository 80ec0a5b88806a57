// The parser of text on one thread, beside finding line ends and memcpy on the same bytes.
#include <cstring>

#include <fmt/format.h>

#include "io/text_record.hpp"
#include "launch/bench/measures.hpp"
#include "runtime/error.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kLines = 16'384;  // of a piece: a step of the measure

/// Lines like those of the Criteo click logs: a label, 13 whole numbers of which some are missing,
/// and 26 strings of 8 hexadecimal digits.
std::string click_lines(const IdBatches& batches, std::int64_t first_line) {
  std::string text;
  const auto lines = static_cast<std::int64_t>(batches.labels.size());
  for (std::int64_t i = 0; i < kLines; ++i) {
    const std::int64_t line = (first_line + i) % lines;
    text.push_back(batches.labels[static_cast<std::size_t>(line)] > 0 ? '1' : '0');
    for (std::int64_t d = 0; d < batches.dense_columns; ++d) {
      const float x = batches.dense[static_cast<std::size_t>(line * batches.dense_columns + d)];
      text.push_back('\t');
      if (x >= 0.25f) {
        text += fmt::format("{}", static_cast<int>(2 / (1.01f - x)));
      }
    }
    for (std::int64_t f = 0; f < batches.features; ++f) {
      text += fmt::format(
          "\t{:08x}", batches.keys[static_cast<std::size_t>(line * batches.features + f)] >> 32);
    }
    text.push_back('\n');
  }
  return text;
}

DataOptions click_columns(const IdBatches& batches) {
  DataOptions options;
  options.separator = std::string(1, '\t');
  const auto add = [&](const std::string& name, ColumnRole role) {
    ColumnOptions column;
    column.name = name;
    column.index = static_cast<std::int64_t>(options.columns.size());
    column.role = role;
    column.key_space = name;
    options.columns.push_back(column);
  };
  add("label", ColumnRole::label);
  for (std::int64_t d = 0; d < batches.dense_columns; ++d) {
    add(fmt::format("I{}", d + 1), ColumnRole::dense);
    options.columns.back().transform = DenseTransform::log;
  }
  for (std::int64_t f = 0; f < batches.features; ++f) {
    add(fmt::format("C{}", f + 1), ColumnRole::id);
  }
  return options;
}

/// Calls body(line) on every line.
template <class Body>
void for_lines(std::string_view text, const Body& body) {
  for (std::size_t at = 0; at < text.size();) {
    const TextLine line = line_at(text, at);
    body(line.text);
    at = line.next;
  }
}

/// Eight texts that the steps take in turn.
class TextPieces {
 public:
  explicit TextPieces(const IdBatches& batches) {
    for (std::int64_t piece = 0; piece < 8; ++piece) {
      pieces_.push_back(click_lines(batches, piece * kLines));
    }
  }

  const std::string& of(std::int64_t step) const {
    return pieces_[static_cast<std::size_t>(step) % pieces_.size()];
  }

 private:
  std::vector<std::string> pieces_;
};

void report_speeds(BenchContext& context, std::vector<BenchResult> results, double megabytes) {
  for (BenchResult& result : results) {
    result.threads = 1;
    result.extra = {{"mb_per_s", 1e3 * megabytes / result.median()}};
  }
  for (const std::size_t limit : {1u, 2u}) {
    context.report().compare(results[0], results[limit],
                             fmt::format("{:.0f} MB/s; {} {:.0f} MB/s", results[0].extra[0].second,
                                         results[limit].peer, results[limit].extra[0].second));
  }
}

}  // namespace

void measure_text(BenchContext& context) {
  const IdBatches& batches = context.whole("W1");
  const TextPieces pieces(batches);
  RecordParser parser(click_columns(batches), "", "");
  Batch batch;
  const auto parse = [&](std::string_view line) {
    const std::optional<std::string> problem = parser.parse(line, batch);
    require(!problem, Kind::bad_input, "expected lines that parse: found {}", problem.value_or(""));
  };
  std::string copy(pieces.of(0).size() + (std::size_t{1} << 20), ' ');
  std::int64_t newlines = 0;
  const std::int64_t steps = context.command().quick ? 4 : 30;
  const std::vector<BenchResult> results = context.race(
      "text, a thread", steps,
      {{context.own_name(),
        [&](std::int64_t s) {
          batch.clear();
          for_lines(pieces.of(s), parse);
        }},
       {"line ends",
        [&](std::int64_t s) { for_lines(pieces.of(s), [&](std::string_view) { ++newlines; }); }},
       {"memcpy", [&](std::int64_t s) {
          const std::string& piece = pieces.of(s);
          std::memcpy(copy.data(), piece.data(), std::min(copy.size(), piece.size()));
        }}});
  require(newlines > 0, Kind::bad_input, "expected lines: found none");
  report_speeds(context, results, static_cast<double>(pieces.of(0).size()) / 1e6);
}

}  // namespace keyshard
