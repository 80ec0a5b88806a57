// The page of a run: what it shows, and that nothing from files is markup.
#include "launch/report/report_page.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "launch/report/html_text.hpp"
#include "runtime/setting_value.hpp"

namespace keyshard {
namespace {

constexpr const char* kAttack = "<script>alert('1')</script>\"&";

RunRecord hostile_run() {
  RunRecord run;
  run.name = kAttack;
  run.history.curves[fmt::format("step/rows/{}", kAttack)] = {{1, 2}, {2, 3}};
  run.history.curves["step/loss"] = {{1, 0.5}, {2, 0.25}};
  run.history.curves[fmt::format("valid/{}/auc", kAttack)] = {{1, 0.5}};
  run.history.curves[fmt::format("{0}/{0}", kAttack)] = {{1, 0.5}};
  run.history.notes = {kAttack};
  run.notes = {kAttack};
  CheckpointNote broken, whole;
  broken.step = 5;
  broken.problem = kAttack;
  whole.step = 7;
  whole.digest = "00ff";
  whole.rows = {{kAttack, 12}};
  run.checkpoints = {broken, whole};
  run.best_step = 7;
  run.config[kAttack] = value_of(std::string(kAttack));
  return run;
}

TEST(ReportPage, NothingFromFilesIsMarkup) {
  const std::string html = html_of(hostile_run());
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("alert('"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;"),
            std::string::npos);
  EXPECT_EQ(html_text("a<b>&\"'\n"), "a&lt;b&gt;&amp;&quot;&#39;\\x0a");
}

TEST(ReportPage, NamesNothingOutsideItself) {
  const std::string html = html_of(hostile_run());
  for (const char* part : {"http:", "https:", "//", "src=", "href=", "url(", "@import"}) {
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  }
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
}

TEST(ReportPage, ShowsCheckpointsAlsoThoseThatCannotBeRead) {
  const std::string html = html_of(hostile_run());
  EXPECT_NE(html.find("<td>5</td><td colspan=\"4\">cannot be read: &lt;script"), std::string::npos);
  EXPECT_NE(html.find("<td>7 (best)</td><td><code>00ff</code></td>"), std::string::npos);
}

TEST(ReportPage, AddsUpTheTablesThatHaveNoCurveOfTheirOwn) {
  RunRecord run;
  for (int table = 0; table < 14; ++table) {
    run.history.curves[fmt::format("step/rows/T{}", table)] = {{1, 100.0 + table}};
  }
  const std::string html = html_of(run);
  // Nine tables with the most rows, T5 to T13; T0 to T4 have 100 + 101 + 102 + 103 + 104 rows.
  EXPECT_NE(html.find("<title>T5, step 1: 105</title>"), std::string::npos);
  EXPECT_EQ(html.find("<title>T4, step"), std::string::npos);
  EXPECT_NE(html.find("<title>5 other tables together, step 1: 510</title>"), std::string::npos);
  EXPECT_NE(html.find("no checkpoint holds it"), std::string::npos);
}

}  // namespace
}  // namespace keyshard
