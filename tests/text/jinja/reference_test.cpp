// Ten real templates against what Jinja2 made of them.
#include <fathom/error.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/shared_data.h"
#include "text/jinja/cases.h"

namespace fathom::text::test {
namespace {

using Json = ChatTemplate::Json;

// The template's output, or what raise_exception said as {"raises": ...}.
Json outcome(const std::string& source, const Json& variables) {
  try {
    return {{"text", render(source, variables)}};
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kUsage) << e.what();
    return {{"raises", std::string(e.what()).substr(e.where().size() + 2)}};
  }
}

Json variables_of(const Json& reference, const std::string& conversation) {
  Json variables = reference["conversations"][conversation];
  variables["bos_token"] = reference["variables"]["bos_token"];
  variables["eos_token"] = reference["variables"]["eos_token"];
  return variables;
}

TEST(TemplateReference, RealTemplatesRenderAsJinja2) {
  FATHOM_NEEDS_SHARED("reference/templates/expected.json");
  const std::string folder = *fathom::test::shared("reference/templates");
  const Json reference = Json::parse(fathom::test::read_file(folder + "/expected.json"));
  size_t compared = 0;
  for (const auto& [file, conversations] : reference["expected"].items()) {
    const std::string source = fathom::test::read_file(folder + "/" + file);
    for (const auto& [conversation, expected] : conversations.items()) {
      SCOPED_TRACE(file + " with " + conversation);
      EXPECT_EQ(outcome(source, variables_of(reference, conversation)), expected);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 60u);
}

}  // namespace
}  // namespace fathom::text::test
