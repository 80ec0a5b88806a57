// What a user sees of a run: the page that `train --report` and `keyshard report` write, as a
// browser shows it, and events as TensorBoard reads them.
#include <cstdlib>

#include <fmt/format.h>

#include "tests/launch/program_fixture.hpp"

namespace keyshard::testing {
namespace {

/// The first of these programs that there is; empty: none.
std::string browser() {
  for (const char* name :
       {"chromium", "chromium-headless-shell", "chromium-shell", "google-chrome"}) {
    if (std::system(fmt::format("command -v {} >/dev/null", name).c_str()) == 0) {
      return name;
    }
  }
  return "";
}

/// Counts the pixels of a screenshot that have the colours of curves: those of the page on a light
/// ground. A PNG of 8 bits is unpacked by its definition.
const char* const kCountPixels = R"(
import sys, zlib, struct
data = open(sys.argv[1], "rb").read()
at, packed = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    if kind == b"IDAT":
        packed += body
    at += size + 12
assert depth == 8 and colour in (2, 6)
n = 3 if colour == 2 else 4
raw, before, rows = zlib.decompress(packed), bytearray(width * n), []
for y in range(height):
    begin = y * (width * n + 1)
    filter, row = raw[begin], bytearray(raw[begin + 1:begin + 1 + width * n])
    for i in range(width * n if filter else 0):
        a = row[i - n] if i >= n else 0
        b = before[i]
        c = before[i - n] if i >= n else 0
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[filter]) & 255
    rows.append(row)
    before = row
pixels = {}
for row in rows:
    for i in range(0, width * n, n):
        key = bytes(row[i:i + 3])
        pixels[key] = pixels.get(key, 0) + 1
for colour in sys.argv[2:]:
    print(colour, pixels.get(bytes.fromhex(colour), 0))
)";

class Report : public ProgramTest {
 protected:
  void SetUp() override { folder_.write("job.toml", kSmallJob); }

  Ending train(const std::string& options) {
    return run("train job.toml --output out " + options, mpirun(2));
  }
};

TEST_F(Report, AtTheEndOfATrainingShowsTheRun) {
  const Ending trained = train("--report --steps 6 --set checkpoint.at_end=true");
  ASSERT_EQ(trained.code, kExitDone) << trained.error;
  EXPECT_TRUE(trained.out.ends_with("curves of the run: out/report.html\n")) << trained.out;
  const std::string page = folder_.read("out/report.html");
  for (const std::string& part :
       {std::string("Loss of the batches"), std::string("Evaluations: auc"),
        std::string("examples per second"), std::string("share of the time, %"),
        std::string("Rows of the tables"), std::string("Lines of the data that were bad"),
        digest_in(trained.out), std::string("job.batch_size")}) {
    EXPECT_GT(count(page, part), 0u) << part;
  }
  EXPECT_EQ(count(page, "<title>loss, step 6: "), 1u);
  EXPECT_EQ(count(page, "What to know"), 0u);

  const Ending again = run("report out --out page.html");
  EXPECT_EQ(again.code, kExitDone) << again.error;
  EXPECT_EQ(again.out, "page.html\n");
  EXPECT_EQ(folder_.read("page.html"), page);
  EXPECT_EQ(run("report out --out -").out, page);
}

TEST_F(Report, SaysWhatItCannotShow) {
  ASSERT_EQ(train("--steps 4 --set checkpoint.every_steps=2").code, kExitDone);
  folder_.write("out/metrics.jsonl", folder_.read("out/metrics.jsonl") + "{\"kind\":\"st");
  const std::string manifest = "out/checkpoints/step-000004/manifest.json";
  folder_.write(manifest, folder_.read(manifest) + "<b>");
  ASSERT_EQ(run("report out").code, kExitDone);
  const std::string page = folder_.read("out/report.html");
  EXPECT_EQ(count(page, "<li>metrics.jsonl line "), 1u) << page;
  EXPECT_EQ(count(page, "<td>4</td><td colspan=\"4\">cannot be read: "), 1u) << page;

  const Ending none = run("report .");
  EXPECT_EQ(none.code, kExitUsage);
  EXPECT_EQ(none.error,
            "error: ./metrics.jsonl: expected the reports of a training: found no file that can be "
            "read; name the folder that job.output or --output named\n");
  EXPECT_FALSE(exists("report.html"));
}

TEST_F(Report, ShowsCurvesInABrowser) {
  const std::string chromium = browser();
  if (chromium.empty()) {
    GTEST_SKIP() << "needs a browser: chromium-headless-shell";
  }
  ASSERT_EQ(train("--report --steps 7 --set job.evaluate_every_steps=2").code, kExitDone);
  const std::string page = " 'file://" + folder_.path("out/report.html") + "'";
  const std::string open = chromium + " --headless --no-sandbox --disable-gpu --user-data-dir='" +
                           folder_.path("profile") + "' --window-size=1040,4000 ";
  const Ending dom = shell(open + "--dump-dom" + page);
  EXPECT_GE(count(dom.out, "<svg "), 6u) << dom.out << dom.error;
  EXPECT_GE(count(dom.out, "<circle "), 20u);
  EXPECT_EQ(count(dom.out, "<figcaption>Rows of the tables</figcaption>"), 1u);

  const Ending shot = shell(open + "--screenshot=page.png" + page);
  ASSERT_TRUE(exists("page.png")) << shot.out << shot.error;
  folder_.write("count.py", kCountPixels);
  const Ending pixels = shell("/usr/bin/python3 count.py page.png 1668c7 d1550f ffffff 123456");
  std::istringstream lines(pixels.out);
  std::map<std::string, int> found;
  for (std::string colour; lines >> colour;) {
    lines >> found[colour];
  }
  EXPECT_GT(found["1668c7"], 500) << pixels.out << pixels.error;  // the first curve of a picture
  EXPECT_GT(found["d1550f"], 50) << pixels.out;                   // the second one
  EXPECT_GT(found["ffffff"], 10'000) << pixels.out;               // the ground
  EXPECT_EQ(found["123456"], 0) << pixels.out;
}

TEST_F(Report, EventsAreReadByTensorBoard) {
  const std::string python =
      "env PYTHONPATH='" KEYSHARD_PYTHON_PACKAGES "' PYTHONWARNINGS=ignore python3 ";
  if (shell(python + "-c 'import tensorboard'").code != 0) {
    GTEST_SKIP() << "needs the Python package tensorboard";
  }
  // The second run goes on after step 4, so what the first one said of step 6 counts no more.
  const std::string options = "--set job.tensorboard=true --set checkpoint.every_steps=4 --steps ";
  ASSERT_EQ(train(options + "6").code, kExitDone);
  ASSERT_EQ(train(options + "8 --resume latest").code, kExitDone);
  folder_.write("read.py", R"(
from tensorboard.backend.event_processing import event_accumulator
import json
events = event_accumulator.EventAccumulator("out")
events.Reload()
tags = events.Tags()["scalars"]
print("rows", [t for t in tags if t.startswith("step/rows/")])
print("loss", [e.step for e in events.Scalars("step/loss")])
print("auc", [e.step for e in events.Scalars("valid/auc")])
lines = [json.loads(l) for l in open("out/metrics.jsonl")]
last = {l["step"]: l["loss"] for l in lines if l["kind"] == "step"}
near = [abs(e.value - last[e.step]) < 1e-6 for e in events.Scalars("step/loss")]
print("same", all(near), all(e.wall_time > 1.6e9 for e in events.Scalars("step/loss")))
)");
  const Ending read = shell(python + "read.py");
  EXPECT_EQ(read.out,
            "rows ['step/rows/C1', 'step/rows/C2', 'step/rows/C3']\nloss [2, 4, 6, 8]\n"
            "auc [8]\nsame True True\n")
      << read.error;
}

}  // namespace
}  // namespace keyshard::testing
