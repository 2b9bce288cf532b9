#include "kv/fetch/sentence.h"

#include <gtest/gtest.h>

#include "kv/fetch/runs.h"

namespace fathom::kv {
namespace {

// Sentences of 4 tokens; sentence s has keys of channel s.
struct Sentences {
  std::vector<int32_t> ends{4, 8, 12, 16, 20};
  TextView text{{}, ends};
  std::vector<float> k;
  HeadView head;
  explicit Sentences(size_t tokens) : k(tokens * 8) {
    for (size_t t = 0; t < tokens; ++t) k[t * 8 + t / 4] = 1;
    head.head_dim = 8, head.tokens = tokens, head.k = k.data(), head.text = &text;
  }
};

Runs select(FetchIndex& index, Sentences& s, size_t position, const std::vector<float>& q) {
  s.head.tokens = position + 1;
  index.update(s.head);
  QueryView query;
  query.tokens = 1, query.first = position, query.stride = 8, query.q = q.data();
  std::vector<Runs> runs(1);
  index.select(s.head, query, {}, runs);
  return runs[0];
}

TEST(Sentence, ReadsSentencesThatFitTheMeanQuery) {
  Sentences s(24);
  const auto policy = make_sentence(
      Parameters(sentence_info(), {{"budget", "8"}, {"sinks", "1"}, {"recent", "2"}}, "test"));
  const auto index = policy->make_index();
  const std::vector<float> second{0, 2, 0, 0, 0, 0, 0, 0}, third{0, 0, 1, 1.5f, 0, 0, 0, 0};
  EXPECT_EQ(select(*index, s, 20, second), all_of(21));  // a sentence begins
  // Sums: channel 1: 2, channel 2: 1, channel 3: 1.5; one token of sentence 3 fits after 4 of 1.
  EXPECT_EQ(select(*index, s, 21, third), (Runs{{0, 1}, {4, 8}, {12, 13}, {20, 22}}));
}

TEST(Sentence, ANewSentenceForgetsTheQueriesBefore) {
  Sentences s(24);
  const auto policy = make_sentence(
      Parameters(sentence_info(), {{"budget", "7"}, {"sinks", "1"}, {"recent", "2"}}, "test"));
  const auto index = policy->make_index();
  const std::vector<float> first{9, 0, 0, 0, 0, 0, 0, 0}, fourth{0, 0, 0, 1, 0, 0, 0, 0};
  select(*index, s, 18, first);
  select(*index, s, 19, first);
  EXPECT_EQ(select(*index, s, 20, fourth), all_of(21));
  EXPECT_EQ(select(*index, s, 21, fourth), (Runs{{0, 1}, {12, 16}, {20, 22}}));
}

}  // namespace
}  // namespace fathom::kv
