// Tables of how much each kv head needs the whole context: one line a layer, one number a kv head,
// separated by spaces, tabs or commas. A line that begins with # is a comment. DuoAttention
// publishes such tables (full_attention_heads.tsv); a table of 0 and 1 names the heads outright.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::kv {

struct HeadTable {
  size_t kv_heads = 0;
  std::vector<float> values;  // [layers][kv_heads], clipped to [0, 1]

  size_t layers() const { return kv_heads == 0 ? 0 : values.size() / kv_heads; }
};

// Throws Error(kBadFile) naming the file and the line.
HeadTable read_head_table(const std::string& path);
HeadTable parse_head_table(std::string_view text, const std::string& source);

// Which heads are full heads, [layers][kv_heads]: a table of 0 and 1 as it stands, any other with
// the `share` of the smallest values streaming: full where value >= the share's quantile of the
// whole table (linear interpolation), as DuoAttention has it.
std::vector<uint8_t> full_heads(const HeadTable& table, double share);

}  // namespace fathom::kv
