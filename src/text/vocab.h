// A vocabulary as plain data: what a tokenizer is built from. The engine fills it from a
// checkpoint's metadata; text/ itself knows no file format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fathom::text {

using TokenId = int32_t;

// GGUF's tokenizer.ggml.token_type.
enum class TokenKind : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // never produced from plain text, not shown to the user
  kUserDefined = 4,  // matched before anything else, shown to the user
  kUnused = 5,
  kByte = 6,  // "<0x41>"
};

struct VocabData {
  std::string model;  // "llama": SentencePiece BPE with scores; "gpt2": byte-level BPE; "bert"
  std::string pre;    // byte-level BPE: the name of the pre-tokenizer, "" is "default"
  // Byte-level BPE: regular expressions to use instead of the named pre-tokenizer, and whether a
  // piece that is a token is that token whatever the merges say.
  std::vector<std::string> pre_patterns;
  std::optional<bool> ignore_merges;
  std::string normalizer;  // "nfc": what text becomes before anything else; "": nothing

  std::vector<std::string> tokens;
  std::vector<float> scores;        // empty, or one a token
  std::vector<TokenKind> kinds;     // empty, or one a token
  std::vector<std::string> merges;  // "left right", best first

  std::optional<TokenId> bos, eos, unknown, separator, padding, mask, eot, eom;
  std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;

  std::vector<TokenId> ends;  // tokens that end a reply, besides EOS, EOT and EOM

  // Special tokens that swallow the white space before them, or after them, in a text.
  std::vector<TokenId> strip_left, strip_right;
};

// Checks the data against itself and fills in what it leaves unsaid, as llama.cpp does: a kind for
// every token, the special tokens' usual numbers or names, the flags. Tokens known by name to steer
// a model (<|im_end|>, <|fim_prefix|>, ...) become control tokens. Throws Error(kBadFile).
void complete_vocab(VocabData& data);

// The tokens that end a reply: EOS, EOT, EOM and those known by name to; ascending.
// REQUIRES: data went through complete_vocab.
std::vector<TokenId> generation_ends(const VocabData& data);

}  // namespace fathom::text
