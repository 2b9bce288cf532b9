// A table of gates: how much each kv head of each layer needs the whole context, 0 to 1.
//
// A file of lines, one a layer, of numbers separated by tabs or spaces, one a kv head; as
// DuoAttention's full_attention_heads.tsv. Values are clipped to [0, 1]. Throws Error(kBadFile) for
// anything else: an uneven table, a word, a number that is not finite, more than 1024 layers or
// heads. Immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kv/keep/budget.h"

namespace fathom::kv {

class HeadTable {
 public:
  // Reads the file. Throws Error(kUsage) where the path is empty: the table is not optional.
  static HeadTable read(const std::string& path);
  // `where` is what messages call the text.
  HeadTable(std::string_view text, std::string_view where);
  HeadTable(size_t layers, size_t kv_heads, std::vector<float> gates);

  size_t layers() const { return layers_; }
  size_t kv_heads() const { return kv_heads_; }
  // Whether each head keeps everything, [layers][kv_heads]: its gate is at least the quantile
  // `sparsity` of the whole table, linearly interpolated.
  std::vector<uint8_t> full_heads(double sparsity) const;

 private:
  size_t layers_ = 0, kv_heads_ = 0;
  std::vector<float> gates_;  // [layers][kv_heads]
};

// What a head that does not keep everything keeps: sinks and a window.
struct Window {
  size_t sinks = 0;
  size_t recent = 0;
  double share = 0;  // the window is at least this share of the text before it
};

// Full heads keep all; the others a window. Asked for a layer or head that the table lacks, throws
// Error(kUsage).
BudgetPtr table_budget(const HeadTable& table, double sparsity, Window window);

}  // namespace fathom::kv
