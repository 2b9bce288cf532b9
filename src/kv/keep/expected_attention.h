// Expected attention: the attention that a key may expect from queries yet to come, which are taken
// for Gaussian with the mean and covariance of those seen so far.
//
// Devoto et al., "Expected Attention: KV Cache Compression by Estimating Attention from Future
// Queries Distribution", 2025, arXiv:2510.00636. Checked against kvpress: means, covariances,
// scores and kept sets are equal, for eps 0 and 1e-2.
#pragma once

#include "kv/keep/scorer.h"
#include "kv/method.h"

namespace fathom::kv {

struct ExpectedAttentionOptions {
  size_t window = 1024;  // last queries that statistics are taken from
  size_t skipped = 4;    // positions whose queries and attention are left out: outliers
  size_t future = 512;   // positions after the last one that queries may come from
  float epsilon = 0.01f;
};

// Mean and covariance of one query head, after the mean rotation over the future positions.
struct QueryStatistics {
  std::vector<float> mean;        // [head_dim]
  std::vector<float> covariance;  // [head_dim][head_dim], divided by the number of queries
};
QueryStatistics query_statistics(const HeadView& head, const QueryView& queries, size_t group_head,
                                 const ExpectedAttentionOptions& options);

// score[t] = (mean over the group of softmax_t(mean.k/sqrt(d) + k'Ck/2d) + epsilon) * |v_t|
ScorerPtr expected_attention_scorer(ExpectedAttentionOptions options);

MethodInfo expected_attention_info();
std::unique_ptr<const KeepPolicy> make_expected_attention(const Parameters& p);

}  // namespace fathom::kv
