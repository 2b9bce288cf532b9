#include "kv/prefill/minference_table.h"

#include <charconv>

#include "base/error.h"
#include "base/mapped_file.h"
#include "file/json_text.h"
#include "file/quoted_name.h"

namespace fathom::kv {
namespace {

using file::JsonView;
using file::quoted_name;

constexpr file::JsonLimits kLimits{.bytes = 16u << 20, .depth = 8, .values = 1u << 20};
constexpr int64_t kMostTokens = 1 << 24;
constexpr size_t kMostHeads = 1 << 16;

size_t size_of(const JsonView& number) {
  const int64_t value = number.as_integer();
  if (value < 0 || value > kMostTokens) {
    throw bad_file(number.source(), "{} is {}; 0 to {} are read", number.path(), value,
                   kMostTokens);
  }
  return static_cast<size_t>(value);
}

MInferencePattern pattern_of(const JsonView& name) {
  const std::string& text = name.as_text();
  if (text == "vertical_and_slash") return MInferencePattern::kVerticalSlash;
  if (text == "block_sparse") return MInferencePattern::kBlockSparse;
  if (text == "stream_llm") return MInferencePattern::kStreaming;
  throw with_hint(unsupported(name.source(), "{} is {}, a pattern that is not known", name.path(),
                              quoted_name(text)),
                  "known: vertical_and_slash, block_sparse, stream_llm");
}

MInferenceHead head_of(const JsonView& entry) {
  if (!entry.is_array() || entry.size() < 3) {
    throw bad_file(entry.source(), "{} is not [pattern, size, size, score]", entry.path());
  }
  return {pattern_of(entry.element(0)), size_of(entry.element(1)), size_of(entry.element(2))};
}

size_t head_number(const std::string& key, const std::string& source) {
  size_t head = 0;
  const auto end = std::from_chars(key.data(), key.data() + key.size(), head);
  if (end.ec != std::errc{} || end.ptr != key.data() + key.size() || head >= kMostHeads) {
    throw bad_file(source, "{} is not the number of a head", quoted_name(key));
  }
  return head;
}

}  // namespace

MInferenceTable parse_minference_table(std::string_view json, const std::string& source) {
  const file::Json parsed = file::parse_json(json, source, kLimits);
  const JsonView layers(parsed, source);
  if (!layers.is_array() || layers.size() == 0) {
    throw bad_file(source, "is not a list of layers");
  }
  MInferenceTable table;
  for (size_t i = 0; i < layers.size(); ++i) {
    const JsonView layer = layers.element(i);
    if (!layer.is_object()) throw bad_file(source, "{} is not an object", layer.path());
    auto& heads = table.emplace_back();
    for (const auto& [key, unused] : layer.json().items()) {
      heads[head_number(key, source)] = head_of(layer.require(key));
    }
  }
  return table;
}

MInferenceTable read_minference_table(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return parse_minference_table({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

}  // namespace fathom::kv
