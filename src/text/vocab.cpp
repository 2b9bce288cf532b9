#include "text/vocab.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/error.h"
#include "text/pretokenizer_patterns.h"

namespace fathom::text {
namespace {

constexpr std::string_view kWhere = "tokenizer";

// Files mark some of these as ordinary text, or not at all; their names say what they are.
constexpr std::string_view kEndsByName[] = {
    "<|eot_id|>",   "<|im_end|>",    "<|end|>",     "<end_of_turn>", "<|endoftext|>",
    "<|eom_id|>",   "<EOT>",         "<|fim_pad|>", "<fim-pad>",     "<PAD>",
    "<|fim_repo|>", "<|repo_name|>", "<fim-repo>",  "<REPO>",        "<|file_sep|>"};
constexpr std::string_view kControlByName[] = {
    "<|fim_prefix|>", "<fim-prefix>", "<｜fim▁begin｜>", "<PRE>",
    "<|fim_suffix|>", "<fim-suffix>", "<｜fim▁hole｜>",  "<SUF>",
    "<|fim_middle|>", "<fim-middle>", "<｜fim▁end｜>",   "<MID>"};
// These end a reply where the file has them as control tokens; as text they may be just that.
constexpr std::string_view kEndsIfControl[] = {"</s>", "<eos>", "<|return|>", "<|EOT|>",
                                               "<｜end▁of▁sentence｜>"};

template <size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_id(const VocabData& data, TokenId id) {
  return id >= 0 && static_cast<size_t>(id) < data.tokens.size();
}

void check_id(const VocabData& data, std::string_view name, std::optional<TokenId> id) {
  if (!id || is_id(data, *id)) return;
  throw bad_file(kWhere, "the {} token is {}, but the vocabulary has {} tokens", name, *id,
                 data.tokens.size());
}

void check_sizes(const VocabData& data) {
  const size_t count = data.tokens.size();
  if (count == 0) throw bad_file(kWhere, "the vocabulary is empty");
  if (count > static_cast<size_t>(std::numeric_limits<TokenId>::max())) {
    throw bad_file(kWhere, "{} tokens are more than can be numbered", count);
  }
  if (!data.scores.empty() && data.scores.size() != count) {
    throw bad_file(kWhere, "{} scores for {} tokens", data.scores.size(), count);
  }
  if (!data.kinds.empty() && data.kinds.size() != count) {
    throw bad_file(kWhere, "{} token types for {} tokens", data.kinds.size(), count);
  }
  for (size_t i = 0; i < data.scores.size(); ++i) {
    if (std::isnan(data.scores[i])) throw bad_file(kWhere, "the score of token {} is no number", i);
  }
}

void check_ids(VocabData& data) {
  check_id(data, "BOS", data.bos);
  check_id(data, "EOS", data.eos);
  check_id(data, "EOT", data.eot);
  check_id(data, "EOM", data.eom);
  check_id(data, "unknown", data.unknown);
  check_id(data, "separator", data.separator);
  for (const TokenId id : data.ends) check_id(data, "ending", id);
  for (const TokenId id : data.strip_left) check_id(data, "left-stripping", id);
  for (const TokenId id : data.strip_right) check_id(data, "right-stripping", id);
  // Published files number these past the end of the vocabulary; nothing here depends on them.
  if (data.padding && !is_id(data, *data.padding)) data.padding.reset();
  if (data.mask && !is_id(data, *data.mask)) data.mask.reset();
}

bool is_byte_name(std::string_view token) {
  constexpr std::string_view kHex = "0123456789ABCDEFabcdef";
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>') &&
         token.substr(3, 2).find_first_not_of(kHex) == std::string_view::npos;
}

void complete_kinds(VocabData& data) {
  data.kinds.resize(data.tokens.size(), TokenKind::kNormal);
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string_view token = data.tokens[i];
    const bool steers = token.starts_with('<') &&
                        (is_one_of(token, kEndsByName) || is_one_of(token, kControlByName));
    if (steers) data.kinds[i] = TokenKind::kControl;
  }
}

// SentencePiece's byte tokens are known by their names, "<0x41>", and must have them.
void complete_byte_kinds(VocabData& data) {
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    const bool named = is_byte_name(data.tokens[i]);
    if (named && data.kinds[i] == TokenKind::kNormal) data.kinds[i] = TokenKind::kByte;
    if (!named && data.kinds[i] == TokenKind::kByte) {
      throw bad_file(kWhere, "token {} is a byte token but called '{}'", i, data.tokens[i]);
    }
  }
}

// Gives a special token its usual number where the file names none and the number fits.
void assume(const VocabData& data, std::optional<TokenId>& special, TokenId id, TokenKind kind) {
  if (!special && is_id(data, id) && data.kinds[id] == kind) special = id;
}

void assume_named(const VocabData& data, std::optional<TokenId>& special, std::string_view name) {
  if (special) return;
  const auto it = std::find(data.tokens.begin(), data.tokens.end(), name);
  if (it != data.tokens.end()) special = static_cast<TokenId>(it - data.tokens.begin());
}

void complete_specials(VocabData& data) {
  if (data.model == "llama") {
    assume(data, data.unknown, 0, TokenKind::kUnknown);
    assume(data, data.bos, 1, TokenKind::kControl);
    assume(data, data.eos, 2, TokenKind::kControl);
  } else if (data.model == "bert") {
    assume_named(data, data.bos, "[CLS]");
    assume_named(data, data.separator, "[SEP]");
    assume_named(data, data.unknown, "[UNK]");
  }
  assume_named(data, data.eom, "<|eom_id|>");
}

void complete_flags(VocabData& data) {
  if (data.add_bos.value_or(false) && !data.bos) {
    throw bad_file(kWhere, "asks for a BOS token at the beginning but names none");
  }
  if (data.add_eos.value_or(false) && !data.eos) {
    throw bad_file(kWhere, "asks for an EOS token at the end but names none");
  }
  const PretokenizerFacts* facts = find_pretokenizer(data.pre);
  const bool byte_level = data.model == "gpt2";
  const bool usually_bos = byte_level ? facts != nullptr && facts->adds_bos : true;
  if (!data.add_bos) data.add_bos = usually_bos && data.bos.has_value();
  if (!data.add_eos) data.add_eos = false;
  if (!data.add_space_prefix) data.add_space_prefix = data.model == "llama";
  if (!data.remove_extra_whitespaces) data.remove_extra_whitespaces = false;
  if (!data.ignore_merges) {
    data.ignore_merges = byte_level && facts != nullptr && facts->ignores_merges;
  }
}

}  // namespace

void complete_vocab(VocabData& data) {
  if (!data.normalizer.empty() && data.normalizer != "nfc") {
    throw with_hint(unsupported(kWhere, "the normalizer '{}' is not known", data.normalizer),
                    "known: nfc");
  }
  check_sizes(data);
  check_ids(data);
  complete_kinds(data);
  if (data.model == "llama") complete_byte_kinds(data);
  complete_specials(data);
  complete_flags(data);
}

std::vector<TokenId> generation_ends(const VocabData& data) {
  std::vector<TokenId> ends = data.ends;
  for (const auto& special : {data.eos, data.eot, data.eom}) {
    if (special) ends.push_back(*special);
  }
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    if (data.kinds[i] != TokenKind::kControl) continue;
    const std::string_view token = data.tokens[i];
    if (is_one_of(token, kEndsByName) || is_one_of(token, kEndsIfControl)) {
      ends.push_back(static_cast<TokenId>(i));
    }
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  return ends;
}

}  // namespace fathom::text
