// Tables of MInference's patterns, as its repository publishes them:
//
//   [{"0": ["vertical_and_slash", 1000, 6096, 0.99], "1": ["stream_llm", 100, 800, 0.9], ...}, ...]
//
// one object a layer, one entry a query head: a pattern, its two sizes, and a number that is not
// used. Nothing is trusted: throws Error(kBadFile | kUnsupported) naming the file and the entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::kv {

enum class MInferencePattern : uint8_t { kVerticalSlash, kBlockSparse, kStreaming };

struct MInferenceHead {
  MInferencePattern pattern = MInferencePattern::kVerticalSlash;
  size_t first = 0;   // columns; blocks; sinks
  size_t second = 0;  // diagonals; nothing; window
};

using MInferenceTable = std::vector<std::map<size_t, MInferenceHead>>;  // [layer], by query head

MInferenceTable read_minference_table(const std::string& path);
MInferenceTable parse_minference_table(std::string_view json, const std::string& source);

}  // namespace fathom::kv
