#include "engine/load_vocab.h"

#include <algorithm>
#include <cctype>
#include <limits>

#include "base/error.h"

namespace fathom::engine {
namespace {

using file::Metadata;
using text::TokenId;
using text::TokenKind;
using text::VocabData;

const std::string kPrefix = "tokenizer.ggml.";

TokenId checked_id(const Metadata& metadata, const std::string& key, int64_t id) {
  if (id >= 0 && id <= std::numeric_limits<TokenId>::max()) return static_cast<TokenId>(id);
  throw bad_file(metadata.source(), "metadata key '{}' is {}, which is no token", key, id);
}

std::optional<TokenId> read_id(const Metadata& metadata, const std::string& key) {
  if (!metadata.has(key)) return std::nullopt;
  const int64_t id = metadata.integer(key, 0);
  // Converters write "none" as -1, of either width.
  if (id == -1 || id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return checked_id(metadata, key, id);
}

std::vector<TokenId> read_ids(const Metadata& metadata, const std::string& key) {
  std::vector<TokenId> ids;
  if (const file::Integers* values = metadata.integers(key)) {
    for (const int64_t id : *values) ids.push_back(checked_id(metadata, key, id));
  }
  return ids;
}

std::optional<bool> read_flag(const Metadata& metadata, const std::string& key) {
  if (!metadata.has(key)) return std::nullopt;
  return metadata.flag(key, false);
}

std::vector<std::string> read_strings(const Metadata& metadata, const std::string& key) {
  const file::Strings* strings = metadata.strings(key);
  return strings ? *strings : std::vector<std::string>();
}

std::vector<TokenKind> read_kinds(const Metadata& metadata) {
  const std::string key = kPrefix + "token_type";
  std::vector<TokenKind> kinds;
  const file::Integers* types = metadata.integers(key);
  if (!types) return kinds;
  kinds.reserve(types->size());
  for (const int64_t type : *types) {
    if (type < 0 || type > static_cast<int64_t>(TokenKind::kByte)) {
      throw bad_file(metadata.source(), "metadata key '{}' holds {}, which is no token type", key,
                     type);
    }
    kinds.push_back(type == 0 ? TokenKind::kNormal : static_cast<TokenKind>(type));
  }
  return kinds;
}

void read_specials(const Metadata& metadata, VocabData& vocab) {
  const auto id = [&](const char* name) { return read_id(metadata, kPrefix + name); };
  vocab.bos = id("bos_token_id");
  vocab.eos = id("eos_token_id");
  vocab.unknown = id("unknown_token_id");
  vocab.separator = id("seperator_token_id");  // so spelled in the format
  vocab.padding = id("padding_token_id");
  vocab.mask = id("mask_token_id");
  vocab.eot = id("eot_token_id");
  vocab.eom = id("eom_token_id");
  if (vocab.model == "bert" && !vocab.bos) vocab.bos = id("cls_token_id");
}

void read_flags(const Metadata& metadata, VocabData& vocab) {
  vocab.add_bos = read_flag(metadata, kPrefix + "add_bos_token");
  vocab.add_eos = read_flag(metadata, kPrefix + "add_eos_token");
  vocab.add_space_prefix = read_flag(metadata, kPrefix + "add_space_prefix");
  vocab.remove_extra_whitespaces = read_flag(metadata, kPrefix + "remove_extra_whitespaces");
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool is_special(TokenKind kind) {
  return kind == TokenKind::kControl || kind == TokenKind::kUserDefined ||
         kind == TokenKind::kUnknown;
}

// Phi 3 and Jina were published with special tokens that swallow white space. GGUF has no field for
// that, so the names have to do, as in llama.cpp.
void guess_strips(const Metadata& metadata, VocabData& vocab) {
  const std::string name = lower_case(metadata.text("general.name", ""));
  const bool phi3 =
      name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
  const bool jina =
      vocab.pre == "jina-v2-de" || vocab.pre == "jina-v2-es" || vocab.pre == "jina-v2-code";
  for (size_t i = 0; i < std::min(vocab.tokens.size(), vocab.kinds.size()); ++i) {
    const std::string& token = vocab.tokens[i];
    const bool keeps = token == "<unk>" || token == "<s>" || token == "<|endoftext|>";
    if (phi3 && is_special(vocab.kinds[i]) && !keeps) {
      vocab.strip_right.push_back(static_cast<TokenId>(i));
    }
    if (jina && token == "<mask>") vocab.strip_left.push_back(static_cast<TokenId>(i));
  }
}

}  // namespace

VocabData load_vocab(const Metadata& metadata) {
  VocabData vocab;
  vocab.model = metadata.require_text(kPrefix + "model");
  vocab.pre = metadata.text(kPrefix + "pre", "");
  vocab.tokens = read_strings(metadata, kPrefix + "tokens");
  if (vocab.tokens.empty()) {
    throw bad_file(metadata.source(), "metadata key '{}tokens' is missing or empty", kPrefix);
  }
  if (const auto scores = metadata.numbers(kPrefix + "scores")) {
    vocab.scores.assign(scores->begin(), scores->end());
  }
  vocab.kinds = read_kinds(metadata);
  vocab.merges = read_strings(metadata, kPrefix + "merges");
  read_specials(metadata, vocab);
  read_flags(metadata, vocab);
  vocab.pre_patterns = read_strings(metadata, "fathom.tokenizer.pre_patterns");
  vocab.ignore_merges = read_flag(metadata, "fathom.tokenizer.ignore_merges");
  vocab.strip_left = read_ids(metadata, "fathom.tokenizer.strip_left");
  vocab.strip_right = read_ids(metadata, "fathom.tokenizer.strip_right");
  vocab.normalizer = metadata.text("fathom.tokenizer.normalizer", "");
  vocab.ends = read_ids(metadata, "fathom.tokenizer.eos_ids");
  guess_strips(metadata, vocab);
  return vocab;
}

}  // namespace fathom::engine
