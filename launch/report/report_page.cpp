#include "launch/report/report_page.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "launch/report/chart.hpp"
#include "launch/report/html_text.hpp"
#include "runtime/json.hpp"

namespace keyshard {
namespace {

constexpr std::int64_t kMostTables = kChartColours - 1;  // of one chart; the others are added up

const char* const kStyle = R"(
:root{color-scheme:light dark;--fg:#1c2024;--soft:#5a6470;--bg:#fff;--card:#f5f6f8;--grid:#dfe3e8;
--c0:#1668c7;--c1:#d1550f;--c2:#1d8a3e;--c3:#c22f4e;--c4:#7a4fc0;--c5:#8a6414;--c6:#c0399f;--c7:#5b6670;--c8:#93930f;--c9:#128a96}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ec;--soft:#9aa5b1;--bg:#14171a;--card:#1d2125;--grid:#343b42;
--c0:#5aa2f5;--c1:#f58a4b;--c2:#4fc274;--c3:#f26d88;--c4:#ab8aec;--c5:#cfa245;--c6:#ea7ccf;--c7:#9aa5b1;--c8:#cccc40;--c9:#4cc3cf}}
body{margin:0 auto;padding:16px;max-width:1360px;background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif}
h1{font-size:22px}h2{font-size:18px;margin-top:32px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:16px}
figure{margin:0;padding:12px;background:var(--card);border-radius:8px}figcaption{font-weight:600}
svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}
.grid{stroke:var(--grid);fill:none}.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:2}.mark{fill:none!important;stroke-width:2}.area{stroke:none}
.legend{margin:4px 0 0;font-size:13px;overflow-wrap:anywhere}.legend span{margin-right:12px}.legend i{display:inline-block;width:12px;height:12px;margin-right:4px;border-radius:2px}
.hint,.default{color:var(--soft);font-size:13px}
.notes{border-left:4px solid var(--c1);padding:4px 12px;background:var(--card);overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse}td,th{padding:3px 12px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--grid)}
.number{text-align:right;font-variant-numeric:tabular-nums}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
)";

/// The rules of the colours of curves.
std::string colour_rules() {
  std::string out;
  for (std::int64_t c = 0; c < kChartColours; ++c) {
    out += fmt::format(
        ".line.c{0},.mark.c{0}{{stroke:var(--c{0})}}.dot.c{0},.area.c{0}{{fill:var(--c{0})}}"
        ".legend .c{0}{{background:var(--c{0})}}\n",
        c);
  }
  return out;
}

std::string cell(const std::string& text, bool number = false) {
  return fmt::format("<td{}>{}</td>", number ? " class=\"number\"" : "", html_text(text));
}

std::string number_text(double value) {
  return std::isnan(value) ? "undefined" : fmt::format("{:.6g}", value);
}

/// The curves whose names begin with a prefix, by the rest of their names.
std::vector<ChartLine> lines_below(const RunHistory& history, const std::string& prefix) {
  std::vector<ChartLine> lines;
  for (auto found = history.curves.lower_bound(prefix);
       found != history.curves.end() && found->first.starts_with(prefix); ++found) {
    if (!found->second.empty()) {
      lines.push_back({found->first.substr(prefix.size()), found->second});
    }
  }
  return lines;
}

/// The sum of curves at each step that one of them has.
Curve sum_of(const std::vector<ChartLine>& lines) {
  std::map<std::int64_t, double> sums;
  for (const ChartLine& line : lines) {
    for (const CurvePoint& point : line.curve) {
      sums[point.step] += point.value;
    }
  }
  Curve curve;
  for (const auto& [step, sum] : sums) {
    curve.push_back({step, sum});
  }
  return curve;
}

/// The tables with the most rows, each a curve, and one curve of all others.
Chart rows_chart(const RunHistory& history) {
  std::vector<ChartLine> lines = lines_below(history, "step/rows/");
  std::stable_sort(lines.begin(), lines.end(), [](const ChartLine& a, const ChartLine& b) {
    return a.curve.back().value > b.curve.back().value;
  });
  if (std::ssize(lines) > kMostTables + 1) {
    const std::vector<ChartLine> others(lines.begin() + kMostTables, lines.end());
    lines.resize(static_cast<std::size_t>(kMostTables));
    lines.push_back({fmt::format("{} other tables together", others.size()), sum_of(others)});
  }
  return {.title = "Rows of the tables", .value = "rows", .lines = lines, .from_zero = true};
}

/// A part of the time of a step, from its share to percent.
Chart shares_chart(const RunHistory& history) {
  std::vector<ChartLine> lines = lines_below(history, "step/shares/");
  for (ChartLine& line : lines) {
    for (CurvePoint& point : line.curve) {
      point.value *= 100;
    }
  }
  return {.title = "Where the time of a step goes",
          .value = "share of the time, %",
          .lines = lines,
          .stacked = true};
}

void add_chart(std::string& out, const Chart& chart) {
  if (!chart.lines.empty()) {
    out += html_of(chart);
  }
}

/// A chart per number of evaluations: that of all samples, and beside it that of parts of them.
void add_metrics(std::string& out, const RunHistory& history) {
  std::map<std::string, Chart> charts;
  for (const auto& [name, curve] : history.curves) {
    const std::size_t split_end = name.find('/');
    const std::string split = name.substr(0, split_end);
    const std::string path = name.substr(split_end + 1);
    const std::string metric = path.substr(path.rfind('/') + 1);
    if (split == "step" || metric == "epoch" || metric == "samples" || curve.empty()) {
      continue;
    }
    const bool means = metric == "mean_score" || metric == "mean_label";
    Chart& chart = charts[means ? "mean score and mean label" : metric];
    const std::string part =
        path.size() == metric.size() ? "" : ", " + path.substr(0, path.size() - metric.size() - 1);
    const bool whole = part.empty() && !means;
    chart.lines.push_back({split + part + (means ? ", " + metric : ""), curve,
                           whole ? history.best_steps : std::vector<std::int64_t>()});
  }
  for (auto& [metric, chart] : charts) {
    chart.title = "Evaluations: " + metric;
    chart.value = metric;
    const bool defined = std::any_of(chart.lines.begin(), chart.lines.end(), [](const auto& line) {
      return std::any_of(line.curve.begin(), line.curve.end(),
                         [](const CurvePoint& point) { return !std::isnan(point.value); });
    });
    if (defined) {  // a metric that the loss does not have is null in every line
      add_chart(out, chart);
    }
  }
}

std::string charts(const RunHistory& history) {
  const auto one = [&](const char* name) -> std::vector<ChartLine> {
    const auto found = history.curves.find(std::string("step/") + name);
    return found == history.curves.end() || found->second.empty()
               ? std::vector<ChartLine>()
               : std::vector<ChartLine>{{name, found->second}};
  };
  std::string out = "<h2>Curves</h2>\n<div class=\"charts\">\n";
  add_chart(out, {.title = "Loss of the batches of training",
                  .value = "loss, mean per sample",
                  .lines = one("loss")});
  add_metrics(out, history);
  add_chart(out, {.title = "Speed",
                  .value = "examples per second",
                  .lines = one("examples_per_s"),
                  .from_zero = true});
  add_chart(out, shares_chart(history));
  add_chart(out, rows_chart(history));
  add_chart(out, {.title = "Lines of the data that were bad, so far",
                  .value = "lines",
                  .lines = one("bad_lines"),
                  .from_zero = true});
  return out +
         "</div>\n<p class=\"hint\">A ring marks an evaluation that was the best until "
         "then. Point at a dot to see its value.</p>\n";
}

std::string notes_of(const RunRecord& run) {
  std::vector<std::string> notes = run.notes;
  notes.insert(notes.end(), run.history.notes.begin(), run.history.notes.end());
  if (notes.empty()) {
    return "";
  }
  std::string out = "<div class=\"notes\"><p>What to know about this page:</p><ul>\n";
  for (const std::string& note : notes) {
    out += fmt::format("<li>{}</li>\n", html_text(note));
  }
  return out + "</ul></div>\n";
}

std::string summary(const RunRecord& run) {
  const RunHistory& history = run.history;
  std::string out = "<table>\n";
  const auto row = [&](const std::string& name, const std::string& value) {
    out += "<tr><th>" + html_text(name) + "</th>" + cell(value) + "</tr>\n";
  };
  const auto steps = history.curves.find("step/loss");
  if (steps != history.curves.end() && !steps->second.empty()) {
    row("last step that was reported", std::to_string(steps->second.back().step));
    row("its epoch", number_text(history.last("step/epoch")));
    row("its loss", number_text(history.last("step/loss")));
    row("lines of the data that were bad", number_text(history.last("step/bad_lines")));
  }
  if (run.best_step) {
    row(fmt::format("best step, by the checkpoint of step {}", run.told_by),
        std::to_string(*run.best_step));
  }
  for (const char* metric : {"auc", "loss", "rmse"}) {
    const auto found = history.curves.find(std::string("valid/") + metric);
    if (found != history.curves.end() && !found->second.empty()) {
      row(fmt::format("last {} of an evaluation", metric), number_text(found->second.back().value));
    }
  }
  return out + "</table>\n";
}

std::string checkpoints_of(const RunRecord& run) {
  std::string out = "<h2>Checkpoints</h2>\n";
  if (run.checkpoints.empty()) {
    return out + "<p>The folder holds none.</p>\n";
  }
  out +=
      "<div class=\"wide\"><table><tr><th>step</th><th>state digest</th><th>ranks</th>"
      "<th>bytes</th><th>rows of its tables</th></tr>\n";
  for (const CheckpointNote& note : run.checkpoints) {
    out += "<tr>" + cell(std::to_string(note.step) +
                         (run.best_step == std::optional(note.step) ? " (best)" : ""));
    if (!note.problem.empty()) {
      out +=
          fmt::format("<td colspan=\"4\">cannot be read: {}</td></tr>\n", html_text(note.problem));
      continue;
    }
    std::string rows;
    for (const auto& [name, count] : note.rows) {
      rows += fmt::format("{}{} {}", rows.empty() ? "" : ", ", name, count);
    }
    out += fmt::format("<td><code>{}</code></td>", html_text(note.digest));
    out += cell(std::to_string(note.ranks), true) + cell(std::to_string(note.bytes), true) +
           cell(rows) + "</tr>\n";
  }
  return out +
         "</table></div>\n<p class=\"hint\">Digests as the manifests have them; "
         "<code>keyshard inspect</code> compares the files with theirs.</p>\n";
}

std::string config_of(const RunRecord& run) {
  std::string out = "<h2>Configuration</h2>\n";
  if (run.config.empty()) {
    return out + "<p>Unknown: no checkpoint holds it.</p>\n";
  }
  out += fmt::format(
      "<p class=\"hint\">As the checkpoint of step {} holds it; paler keys have their "
      "defaults.</p>\n<div class=\"wide\"><table>\n",
      run.told_by);
  for (const auto& [key, value] : run.config) {
    out += fmt::format("<tr{}><td><code>{}</code></td><td><code>{}</code></td></tr>\n",
                       run.given.contains(key) ? "" : " class=\"default\"", html_text(key),
                       html_text(json_text(value)));
  }
  return out + "</table></div>\n";
}

}  // namespace

std::string html_of(const RunRecord& run) {
  const std::string name = html_text(run.name);
  return fmt::format(
             "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "style-src 'unsafe-inline'\">\n"
             "<meta name=\"viewport\" content=\"width=device-width\">\n"
             "<title>{0}</title><style>{1}{2}</style></head>\n<body>\n<h1>Training in {0}</h1>\n",
             name, kStyle, colour_rules()) +
         notes_of(run) + summary(run) + charts(run.history) + checkpoints_of(run) + config_of(run) +
         "</body></html>\n";
}

}  // namespace keyshard
