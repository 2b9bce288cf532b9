// The report in a headless Chromium: what it says on its console, what it asks the network for, and
// whether everything is there to be seen, in light and dark, wide and narrow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "eval/html/page.h"
#include "made_report.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace fathom::eval {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// $FATHOM_CHROMIUM, or what the path has; nothing where there is none that starts.
std::optional<std::string> chromium() {
  const char* named = std::getenv("FATHOM_CHROMIUM");
  for (const std::string name :
       {named ? named : "", "chromium", "chromium-browser", "google-chrome"}) {
    const std::string call = "'" + name + "' --version >/dev/null 2>&1";
    if (!name.empty() && std::system(call.c_str()) == 0) return name;
  }
  return std::nullopt;
}

// Loading anything is a fault, and so is any error of the script.
constexpr const char* kWatch = R"(
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<script>
window.faults = [];
addEventListener('error', (e) => faults.push(String(e.message)));
addEventListener('securitypolicyviolation', (e) => faults.push('loads ' + e.blockedURI));
</script>
)";

// Writes what there is to see into the page itself.
constexpr const char* kProbe = R"JS(
<script>
addEventListener('load', () => {
  const rgb = (c) => c.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = (c) => {
    const [r, g, b] = rgb(c).map((v) => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = (e) => getComputedStyle(e);
  const paper = light(style(document.body).backgroundColor);
  const contrast = (e) => {
    const ink = light(style(e).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  const size = (selector) => {
    const boxes = [...document.querySelectorAll(selector)].map((e) => e.getBoundingClientRect());
    return {count: boxes.length, width: Math.min(...boxes.map((b) => b.width)),
            height: Math.min(...boxes.map((b) => b.height))};
  };
  const seen = {};
  for (const s of ['.card', '#frontier .chart svg', '#frontier .pt', '#policies table',
                   '#policies .mark', '#capabilities .chart svg', '#capabilities .pt',
                   '#depth-lines svg', '#costs table', '#depths svg', '#depths .run', '#depths table', '#questions table',
                   '#needles .map svg', '#tasks table', '#predictions table',
                   '#attention .map svg', '#attention table', '#checks table',
                   '#methods', '#how']) seen[s] = size(s);
  const head = document.querySelectorAll('#policies th.s')[1];
  const column = () => [...document.querySelectorAll('#policies tbody tr')].map(
      (row) => Number(row.cells[1].dataset.v));
  const clicks = [0, 1].map(() => { head.click(); return column(); });
  document.querySelector('#policies tbody tr').dispatchEvent(new MouseEvent('mouseenter'));
  const result = {
    width: innerWidth, page: document.documentElement.scrollWidth, seen, clicks,
    sorted: head.getAttribute('aria-sort'),
    dark: matchMedia('(prefers-color-scheme: dark)').matches, paper,
    text: contrast(document.body), lead: contrast(document.querySelector('.lead')),
    lit: document.querySelectorAll('#frontier .charts.dim .pt.hot').length,
    loaded: performance.getEntriesByType('resource').length, faults};
  const out = document.createElement('pre');
  out.id = 'probe';
  out.textContent = JSON.stringify(result).replace(/</g, '\\u003c').replace(/&/g, '\\u0026');
  document.body.append(out);
});
</script>
)JS";

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

struct Opened {
  json probe;
  std::string console, picture;
};

class Browser : public testing::Test {
 protected:
  void SetUp() override {
    program_ = chromium();
    if (!program_) GTEST_SKIP() << "no chromium here (name one in FATHOM_CHROMIUM)";
  }

  Opened open(std::string page, const std::string& options) {
    page.insert(page.find("<meta charset"), kWatch);
    page.insert(page.rfind("</body>"), kProbe);
    test::write_file(folder_.file("page.html"), page);
    const std::string call =
        "timeout 60 '" + *program_ +
        "' --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
        " --user-data-dir='" +
        folder_.file("profile") + "' --enable-logging=stderr --virtual-time-budget=1000 " +
        options + " --dump-dom --screenshot='" + folder_.file("page.png") + "' 'file://" +
        folder_.file("page.html") + "' >'" + folder_.file("dom") + "' 2>'" + folder_.file("log") +
        "'";
    const int status = std::system(call.c_str());
    EXPECT_EQ(WEXITSTATUS(status), 0) << contents(folder_.file("log"));
    const std::string dom = contents(folder_.file("dom"));
    constexpr std::string_view kOpen = "<pre id=\"probe\">";
    const size_t at = dom.rfind(kOpen);
    Opened out;
    EXPECT_NE(at, std::string::npos) << "the page's scripts did not get to their end";
    if (at != std::string::npos) {
      const size_t begin = at + kOpen.size();
      out.probe = json::parse(dom.substr(begin, dom.find("</pre>", begin) - begin));
    }
    std::istringstream log(contents(folder_.file("log")));
    for (std::string line; std::getline(log, line);) {
      if (line.find("CONSOLE") != std::string::npos) out.console += line + "\n";
    }
    out.picture = contents(folder_.file("page.png"));
    return out;
  }

  static std::string page() {
    return report_page(test::made_report(), {{"model", test::kHostile}, {"command", "c"}});
  }

 private:
  std::optional<std::string> program_;
  test::TempDir folder_;
};

void expect_sound(const Opened& o) {
  EXPECT_EQ(o.probe["faults"], json::array());
  EXPECT_EQ(o.probe["loaded"], 0) << "the page loads nothing";
  EXPECT_EQ(o.console, "");
  for (const auto& [what, size] : o.probe["seen"].items()) {
    EXPECT_GE(size["count"], 1) << what;
    EXPECT_GE(size["width"], 2) << what;
    EXPECT_GE(size["height"], 2) << what;
  }
  EXPECT_LE(o.probe["page"], o.probe["width"]) << "only tables scroll sideways";
  EXPECT_GE(o.probe["text"], 7) << "contrast of text";
  EXPECT_GE(o.probe["lead"], 4.5);
  ASSERT_GT(o.picture.size(), 10'000u);
  EXPECT_EQ(o.picture.substr(1, 3), "PNG");
}

TEST_F(Browser, ShowsEverythingInLight) {
  const Opened o = open(page(), "--window-size=1280,900");
  ASSERT_TRUE(o.probe.is_object());
  expect_sound(o);
  EXPECT_EQ(o.probe["dark"], false);
  EXPECT_GT(o.probe["paper"], 0.8);
  EXPECT_GT(o.probe["seen"]["#frontier .chart svg"]["width"], 250);
  EXPECT_GT(o.probe["seen"]["#frontier .chart svg"]["height"], 150);
  EXPECT_GT(o.probe["seen"]["#policies table"]["height"], 80);
  // The first click sorts downwards, the second upwards.
  std::vector<double> down = o.probe["clicks"][0], up = o.probe["clicks"][1];
  EXPECT_TRUE(std::is_sorted(down.rbegin(), down.rend()));
  EXPECT_TRUE(std::is_sorted(up.begin(), up.end()));
  EXPECT_LT(up.front(), up.back());
  EXPECT_EQ(o.probe["sorted"], "ascending");
  EXPECT_GE(o.probe["lit"], 1) << "the pointer on a row lights its points";
}

TEST_F(Browser, ShowsEverythingInTheDarkOnANarrowScreen) {
  const Opened o = open(page(), "--window-size=500,900 --blink-settings=preferredColorScheme=0");
  ASSERT_TRUE(o.probe.is_object());
  expect_sound(o);
  EXPECT_EQ(o.probe["dark"], true);
  EXPECT_LT(o.probe["paper"], 0.05);
  EXPECT_LE(o.probe["width"], 560) << "as narrow as the style's smallest layout";
}

TEST_F(Browser, NoticesWhatItIsThereFor) {
  std::string page = Browser::page();
  page.insert(page.rfind("</body>"),
              "<img src=\"picture.png\"><script>console.error('so it goes'); missing();</script>");
  const Opened o = open(std::move(page), "--window-size=1280,900");
  ASSERT_TRUE(o.probe.is_object());
  EXPECT_EQ(o.probe["faults"].size(), 2u) << o.probe["faults"];
  EXPECT_THAT(o.console, HasSubstr("so it goes"));
}

}  // namespace
}  // namespace fathom::eval
