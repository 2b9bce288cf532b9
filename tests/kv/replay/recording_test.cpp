#include "kv/replay/recording.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"
#include "file/safetensors_writer.h"
#include "support/method_reference.h"
#include "support/temp_dir.h"

namespace fathom::kv {
namespace {

using file::ElementType;

// A small recording that a test may spoil: 5 tokens, 4 query heads, 2 kv heads, 3 channels.
struct Draft {
  std::map<std::string, std::vector<uint64_t>> shapes = {
      {"q", {5, 4, 3}}, {"k", {5, 2, 3}}, {"v", {5, 2, 3}}};
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, std::string> metadata;

  Recording open() {
    std::vector<file::SafetensorsView> tensors;
    for (const auto& [name, shape] : shapes) {
      size_t count = 1;
      for (const uint64_t n : shape) count *= n;
      std::vector<float>& v = values[name];
      for (size_t i = v.size(); i < count; ++i) v.push_back(static_cast<float>(i));
      tensors.push_back(
          file::safetensors_view(name, ElementType::kF32, shape, std::span<const float>(v)));
    }
    const test::TempDir dir;
    file::write_safetensors(dir.file("r.safetensors"), tensors, metadata);
    return Recording(dir.file("r.safetensors"));
  }
};

TEST(Recording, ViewsPointAtTheRightNumbers) {
  Draft draft;
  draft.metadata = {{"prompt_tokens", "3"},
                    {"layer", "7"},
                    {"rope", "halves"},
                    {"soft_cap", "50.5"},
                    {"window", "2"}};
  const Recording r = draft.open();
  EXPECT_EQ(r.prompt(), 3u);
  EXPECT_EQ(r.steps(), 2u);
  EXPECT_EQ(r.group(), 2u);
  EXPECT_EQ(r.rope_style(), kernel::RopeStyle::kHalf);
  const HeadView head = r.head(1, 4);
  EXPECT_EQ(head.layer, 7u);
  EXPECT_EQ(head.tokens, 4u);
  EXPECT_FLOAT_EQ(head.scale, 1.0f / std::sqrt(3.0f));
  EXPECT_EQ(head.soft_cap, 50.5f);
  EXPECT_EQ(head.window, 2);
  EXPECT_EQ(r.first_seen(1), 0u);
  EXPECT_EQ(r.first_seen(4), 3u);
  EXPECT_EQ(head.key(2)[1], (2 * 2 + 1) * 3 + 1);  // token 2, kv head 1, channel 1
  EXPECT_EQ(head.k_unrotated, nullptr);
  const QueryView queries = r.queries(1, 2, 3);
  EXPECT_EQ(queries.first, 2u);
  EXPECT_EQ(queries.row(1, 1, 3)[2], (3 * 4 + 3) * 3 + 2);  // token 3, query head 3, channel 2
}

TEST(Recording, RefusesWhatDoesNotFit) {
  const std::pair<const char*, std::function<void(Draft&)>> spoilers[] = {
      {"tensor 'v' is missing", [](Draft& d) { d.shapes.erase("v"); }},
      {"'q' is [60], not [tokens, heads, head_dim]", [](Draft& d) { d.shapes["q"] = {60}; }},
      {"'q' has 0 tokens; 1 to 2147483647 are read",
       [](Draft& d) {
         d.shapes["q"] = {0, 4, 3};
       }},
      {"'q' has 2000 head_dim; 1 to 1024 are read",
       [](Draft& d) {
         d.shapes["q"] = {5, 4, 2000};
       }},
      {"3 query heads cannot share 2 kv heads evenly",
       [](Draft& d) {
         d.shapes["q"] = {5, 3, 3};
       }},
      {"'k' is [4, 2, 3], where [5, 2, 3] is expected",
       [](Draft& d) {
         d.shapes["k"] = {4, 2, 3};
       }},
      {"'v' is [5, 1, 3], where [5, 2, 3] is expected",
       [](Draft& d) {
         d.shapes["v"] = {5, 1, 3};
       }},
      {"'hidden' is [4, 9], where [5, 9] is expected",
       [](Draft& d) {
         d.shapes["hidden"] = {4, 9};
       }},
      {"value 1 of 'k' is nan",
       [](Draft& d) {
         d.values["k"] = {0, std::nanf("")};
       }},
      {"value 0 of 'v' is -inf",
       [](Draft& d) { d.values["v"] = {-std::numeric_limits<float>::infinity()}; }},
      {"prompt_tokens is '6', not a number from 1 to 5",
       [](Draft& d) { d.metadata["prompt_tokens"] = "6"; }},
      {"prompt_tokens is '3x', not a number from 1 to 5",
       [](Draft& d) { d.metadata["prompt_tokens"] = "3x"; }},
      {"scale is 'nan', not a number from 1e-06 to 1000000",
       [](Draft& d) { d.metadata["scale"] = "nan"; }},
      {"soft_cap is '0', not a number from 0.001 to 1000000",
       [](Draft& d) { d.metadata["soft_cap"] = "0"; }},
      {"soft_cap is 'inf'", [](Draft& d) { d.metadata["soft_cap"] = "inf"; }},
      {"soft_cap is '1e-44'", [](Draft& d) { d.metadata["soft_cap"] = "1e-44"; }},
      {"window is '0', not a number from 1 to 2147483647",
       [](Draft& d) { d.metadata["window"] = "0"; }},
      {"window is '-64'", [](Draft& d) { d.metadata["window"] = "-64"; }},
      {"window is '2147483648'", [](Draft& d) { d.metadata["window"] = "2147483648"; }},
      {"window is '1.5'", [](Draft& d) { d.metadata["window"] = "1.5"; }},
      {"rope is 'sideways'", [](Draft& d) { d.metadata["rope"] = "sideways"; }},
  };
  for (const auto& [message, spoil] : spoilers) {
    Draft draft;
    spoil(draft);
    try {
      draft.open();
      ADD_FAILURE() << "accepted: " << message;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadFile);
      EXPECT_NE(std::string(e.what()).find(message), std::string::npos) << e.what();
    }
  }
}

TEST(Recording, ReadsTheRecordedLayer) {
  FATHOM_NEEDS_METHOD_REFERENCE();
  const Recording& r = test::recorded_layer();
  EXPECT_EQ(r.tokens(), 2056u);
  EXPECT_EQ(r.prompt(), 2048u);
  EXPECT_EQ(r.heads(), 8u);
  EXPECT_EQ(r.kv_heads(), 4u);
  EXPECT_EQ(r.head_dim(), 32u);
  EXPECT_EQ(r.layer(), 2u);
  EXPECT_EQ(r.rope_base(), 500000.0);
  EXPECT_TRUE(r.has_unrotated_keys() && r.has_unrotated_queries());
  EXPECT_EQ(test::expected_shape("dense.out"), (std::vector<uint64_t>{2056, 8, 32}));
}

}  // namespace
}  // namespace fathom::kv
