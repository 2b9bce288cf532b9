#include "eval/profile.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "base/error.h"
#include "kv/attention_rows.h"
#include "kv/replay/attend_lists.h"
#include "kv/replay/bundle_index.h"
#include "kv/replay/replay.h"

namespace fathom::eval {
namespace {

using engine::TokenId;
using kv::Recording;

// The weights of a query over the keys up to its own, [token + 1].
void attention_row(const Recording& r, size_t head, size_t token, std::vector<float>& weights) {
  const size_t d = r.head_dim(), kv_head = head / r.group();
  const float* q = r.queries(kv_head, token, 1).row(0, head % r.group(), d);
  const kv::HeadView keys = r.head(kv_head, token + 1);
  weights.resize(token + 1);
  for (size_t t = 0; t <= token; ++t) {
    const float* k = keys.key(t);
    float dot = 0;
    for (size_t c = 0; c < d; ++c) dot += q[c] * k[c];
    weights[t] = dot * r.scale();
  }
  kv::attention_weights(keys, token, weights);
}

double seen_keys(const Recording& r, size_t token) {
  return static_cast<double>(token + 1 - r.first_seen(token));
}

// `count` of [begin, end), evenly spread, the last among them.
std::vector<size_t> spread_rows(size_t begin, size_t end, size_t count) {
  std::vector<size_t> rows;
  const size_t n = std::min(count, end - begin);
  for (size_t i = 0; i < n; ++i) rows.push_back(end - 1 - (n - 1 - i) * (end - begin) / n);
  return rows;
}

size_t distance_bin(size_t distance) { return static_cast<size_t>(std::bit_width(distance)); }

// For each row the tokens that followed earlier occurrences of its own, beyond the local ones, as
// far as it sees them.
std::vector<std::vector<size_t>> copied_tokens(const Recording& r, std::span<const TokenId> tokens,
                                               const std::vector<size_t>& rows, size_t local) {
  std::map<TokenId, std::vector<size_t>> places;
  for (size_t t = 0; t < tokens.size(); ++t) places[tokens[t]].push_back(t);
  std::vector<std::vector<size_t>> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const size_t t : places[tokens[rows[i]]]) {
      const bool seen = t + 1 >= r.first_seen(rows[i]);
      if (seen && t + 1 + local <= rows[i]) out[i].push_back(t + 1);
    }
  }
  return out;
}

class HeadSums {
 public:
  HeadSums(const ProfileOptions& options, size_t bins) : options_(options) {
    sums_.distance.resize(bins);
  }

  // Of a query that sees `seen` keys, its own the last.
  void add(const std::vector<float>& weights, double seen, const std::vector<size_t>& copied) {
    const size_t n = weights.size();
    double entropy = 0;
    for (size_t t = 0; t < n; ++t) {
      const double w = weights[t];
      if (t < options_.sinks) sums_.sinks += w;
      if (n - t <= options_.local) sums_.local += w;
      if (w > 0) entropy -= w * std::log(w);
      sums_.distance[distance_bin(n - 1 - t)] += w;
    }
    sums_.entropy += entropy;
    sums_.spread += seen > 1 ? entropy / std::log(seen) : 1.0;
    ++rows_;
    if (copied.empty()) return;
    ++copy_rows_;
    for (const size_t t : copied) sums_.copy += weights[t];
    sums_.copy_chance += static_cast<double>(copied.size()) / seen;
  }

  HeadProfile mean() const {
    HeadProfile out = sums_;
    const double n = static_cast<double>(rows_);
    for (double* x : {&out.sinks, &out.local, &out.entropy, &out.spread}) *x /= n;
    for (double& x : out.distance) x /= n;
    const double copies = static_cast<double>(std::max<size_t>(1, copy_rows_));
    out.copy /= copies;
    out.copy_chance /= copies;
    return out;
  }

 private:
  ProfileOptions options_;
  HeadProfile sums_;
  size_t rows_ = 0, copy_rows_ = 0;
};

// The lists of a replay's PREFILL, out of its tensors.
class PrefillLists {
 public:
  explicit PrefillLists(const kv::Replay& replay) : heads_(replay.recording.heads()) {
    const auto& blocks = ints(replay, "prefill_blocks");
    const auto& block_ends = ints(replay, "prefill_blocks_offsets");
    const auto& columns = ints(replay, "prefill_columns");
    const auto& column_ends = ints(replay, "prefill_columns_offsets");
    const auto& windows = ints(replay, "prefill_windows");
    block_ = static_cast<size_t>(ints(replay, "prefill_query_block")[0]);
    lists_.resize(block_ends.size() - 1);
    for (size_t i = 0; i < lists_.size(); ++i) {
      lists_[i].pieces = {blocks.begin() + block_ends[i], blocks.begin() + block_ends[i + 1]};
      lists_[i].columns = {columns.begin() + column_ends[i], columns.begin() + column_ends[i + 1]};
      lists_[i].sinks = windows[2 * i];
      lists_[i].window = windows[2 * i + 1];
    }
  }

  const kv::RowList& list(size_t head, size_t row) const {
    return lists_[head * (lists_.size() / heads_) + row / block_];
  }

 private:
  static const std::vector<int32_t>& ints(const kv::Replay& replay, std::string_view name) {
    for (const kv::ReplayTensor& t : replay.tensors) {
      if (t.name == name) return std::get<std::vector<int32_t>>(t.values);
    }
    throw unsupported("profile", "a replay without {}", name);
  }

  size_t heads_, block_ = 0;
  std::vector<kv::RowList> lists_;
};

struct RowSums {
  double read = 0, recall = 0;
};

// Sums of the rows of one head into a mean over heads.
StageRecall summary(const std::vector<RowSums>& heads, size_t rows) {
  StageRecall out{0, 0, 1};
  const double n = static_cast<double>(rows);
  for (const RowSums& h : heads) {
    out.read += h.read / n / static_cast<double>(heads.size());
    out.recall += h.recall / n / static_cast<double>(heads.size());
    out.worst = std::min(out.worst, h.recall / n);
  }
  return out;
}

StageRecall prefill_recall(const kv::Replay& replay, const ProfileOptions& options) {
  const Recording& r = replay.recording;
  const PrefillLists lists(replay);
  const std::vector<kv::BundleIndex> bundles(replay.bundles.begin(), replay.bundles.end());
  const std::vector<size_t> rows = spread_rows(0, r.prompt(), options.rows);
  std::vector<RowSums> heads(r.heads());
  replay.pool.run(r.heads(), [&](size_t h, int) {
    std::vector<float> weights;
    std::vector<int32_t> keys;
    std::vector<float> counts;
    for (const size_t row : rows) {
      attention_row(r, h, row, weights);
      kv::visible_keys(lists.list(h, row), row, keys);
      counts.clear();
      bundles[h / r.group()].append(h % r.group(), row, keys, counts);
      kv::drop_before(r.first_seen(row), keys, counts);
      for (size_t i = 0; i < keys.size(); ++i) {  // what is read; a sample stands for more
        const bool again = i > 0 && keys[i] == keys[i - 1];
        if (!again) heads[h].recall += weights[static_cast<size_t>(keys[i])];
      }
      heads[h].read += static_cast<double>(keys.size()) / seen_keys(r, row);
    }
  });
  return summary(heads, rows.size());
}

void step_recall(const kv::Replay& replay, PolicyRecall& out) {
  const Recording& r = replay.recording;
  const size_t pages = (r.tokens() + kv::kPieceTokens - 1) / kv::kPieceTokens;
  std::vector<RowSums> heads(r.heads());
  std::vector<std::vector<double>> mass(r.heads()), read(r.heads());
  replay.pool.run(r.heads(), [&](size_t h, int) {
    std::vector<float> weights;
    mass[h].resize(pages);
    read[h].resize(pages);
    for (size_t s = 0; s < r.steps(); ++s) {
      const size_t row = r.prompt() + s;
      const std::vector<int32_t>& keys = replay.readable[s * r.heads() + h];
      attention_row(r, h, row, weights);
      for (size_t t = 0; t <= row; ++t) mass[h][t / kv::kPieceTokens] += weights[t];
      for (const int32_t key : keys) {
        heads[h].recall += weights[static_cast<size_t>(key)];
        read[h][static_cast<size_t>(key) / kv::kPieceTokens] += 1.0 / kv::kPieceTokens;
      }
      heads[h].read += static_cast<double>(keys.size()) / seen_keys(r, row);
    }
  });
  out.steps = summary(heads, r.steps());
  out.page_mass.assign(pages, 0);
  out.page_read.assign(pages, 0);
  const double n = static_cast<double>(r.steps() * r.heads());
  for (size_t h = 0; h < r.heads(); ++h) {
    for (size_t p = 0; p < pages; ++p) {
      out.page_mass[p] += mass[h][p] / n;
      out.page_read[p] += read[h][p] / n;
    }
  }
}

}  // namespace

LayerProfile profile_layer(const Recording& r, std::span<const TokenId> tokens,
                           const ProfileOptions& options, ThreadPool& pool) {
  FATHOM_CHECK(tokens.size() == r.tokens());
  LayerProfile out;
  out.layer = r.layer();
  out.heads.resize(r.heads());
  // The first rows have nothing but sinks and neighbours to look at.
  const size_t begin = std::min(options.sinks + options.local, r.tokens() - 1);
  const std::vector<size_t> rows = spread_rows(begin, r.tokens(), options.rows);
  const auto copied = copied_tokens(r, tokens, rows, options.local);
  for (const auto& list : copied) out.copy_rows += !list.empty();
  pool.run(r.heads(), [&](size_t h, int) {
    HeadSums sums(options, distance_bin(r.tokens() - 1) + 1);
    std::vector<float> weights;
    for (size_t i = 0; i < rows.size(); ++i) {
      attention_row(r, h, rows[i], weights);
      sums.add(weights, seen_keys(r, rows[i]), copied[i]);
    }
    out.heads[h] = sums.mean();
  });
  return out;
}

PolicyRecall policy_recall(const Recording& recording, const kv::Policy& policy,
                           const ProfileOptions& options, ThreadPool& pool) {
  PolicyRecall out;
  out.policy = policy.line;
  try {
    kv::Replay replay(recording, policy, pool);
    kv::replay_store(replay);
    if (policy.prefill) {
      kv::replay_prefill(replay);
      out.prefill = prefill_recall(replay, options);
    }
    kv::replay_keep(replay);
    kv::replay_fetch(replay);
    if (recording.steps() > 0) step_recall(replay, out);
  } catch (const Error& error) {
    out.refused = error.what();
  }
  return out;
}

}  // namespace fathom::eval
