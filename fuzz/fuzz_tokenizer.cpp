// Vocabularies and texts that nobody made: creating a tokenizer may refuse, using one may not
// crash, and what loses nothing by design must lose nothing.
//
// The input is lines up to a line "text", then the text:
//   model gpt2 | pre qwen2 | pattern \p{L}+ | bytes | token 1 abc | score 1.5 | merge a b
//   normalizer nfc | id bos 3 | flag add_bos 1 | strip left 3
// "bytes" adds the 256 byte tokens of the model; a token's number is its kind.
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/detokenizer.h"
#include "text/utf8.h"

namespace {

using namespace fathom::text;

constexpr size_t kMaxTokens = 4096;

std::string_view take_until(std::string_view& rest, char end) {
  const size_t length = std::min(rest.find(end), rest.size());
  const std::string_view part = rest.substr(0, length);
  rest.remove_prefix(std::min(length + 1, rest.size()));
  return part;
}

template <class Number>
Number number(std::string_view text) {
  Number value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void add_token(VocabData& vocab, std::string token, TokenKind kind) {
  if (vocab.tokens.size() >= kMaxTokens) return;
  vocab.tokens.push_back(std::move(token));
  vocab.kinds.push_back(kind);
  vocab.scores.push_back(0);
}

void add_bytes(VocabData& vocab) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (vocab.model == "llama") {
      add_token(vocab, std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">",
                TokenKind::kByte);
    } else {
      add_token(vocab, to_byte_alphabet({&c, 1}), TokenKind::kNormal);
    }
  }
}

void set_id(VocabData& vocab, std::string_view name, TokenId id) {
  if (name == "bos") vocab.bos = id;
  if (name == "eos") vocab.eos = id;
  if (name == "eot") vocab.eot = id;
  if (name == "eom") vocab.eom = id;
  if (name == "unknown") vocab.unknown = id;
  if (name == "separator") vocab.separator = id;
  if (name == "padding") vocab.padding = id;
  if (name == "mask") vocab.mask = id;
  if (name == "end") vocab.ends.push_back(id);
}

void set_flag(VocabData& vocab, std::string_view name, bool value) {
  if (name == "add_bos") vocab.add_bos = value;
  if (name == "add_eos") vocab.add_eos = value;
  if (name == "add_space_prefix") vocab.add_space_prefix = value;
  if (name == "remove_extra_whitespaces") vocab.remove_extra_whitespaces = value;
  if (name == "ignore_merges") vocab.ignore_merges = value;
}

void read_line(VocabData& vocab, std::string_view line) {
  const std::string_view word = take_until(line, ' ');
  if (word == "model") vocab.model = line;
  if (word == "pre") vocab.pre = line;
  if (word == "normalizer") vocab.normalizer = line;
  if (word == "pattern") vocab.pre_patterns.emplace_back(line);
  if (word == "merge") vocab.merges.emplace_back(line);
  if (word == "bytes") add_bytes(vocab);
  if (word == "score" && !vocab.scores.empty()) vocab.scores.back() = number<float>(line);
  if (word != "token" && word != "id" && word != "flag" && word != "strip") return;
  const std::string_view name = take_until(line, ' ');
  const auto id = number<TokenId>(line);
  if (word == "token") {
    const int kind = number<int>(name);
    if (kind >= 1 && kind <= 6) add_token(vocab, std::string(line), static_cast<TokenKind>(kind));
  }
  if (word == "id") set_id(vocab, name, id);
  if (word == "flag") set_flag(vocab, name, id != 0);
  if (word == "strip") (name == "left" ? vocab.strip_left : vocab.strip_right).push_back(id);
}

void require(bool holds) {
  if (!holds) std::abort();
}

// Whether decode(encode(text)) must be the text.
bool is_lossless(const VocabData& vocab, std::string_view text) {
  if (!vocab.normalizer.empty()) return false;
  bool user_defined = false, space = false;
  std::vector<bool> bytes(256);
  for (size_t i = 0; i < vocab.tokens.size(); ++i) {
    const std::string& token = vocab.tokens[i];
    const TokenKind kind = vocab.kinds[i];
    if (kind == TokenKind::kUserDefined) user_defined = true;
    if (kind == TokenKind::kNormal && token == "\xE2\x96\x81") space = true;
    if (vocab.model == "gpt2" && kind == TokenKind::kNormal) {
      const std::string byte = from_byte_alphabet(token);
      if (byte.size() == 1) bytes[static_cast<uint8_t>(byte[0])] = true;
    }
    if (vocab.model == "llama" && kind == TokenKind::kByte) {
      bytes[std::stoi(token.substr(3, 2), nullptr, 16)] = true;
    }
  }
  if (std::find(bytes.begin(), bytes.end(), false) != bytes.end()) return false;
  if (vocab.model == "gpt2") return vocab.strip_left.empty() && vocab.strip_right.empty();
  return space && !user_defined && !*vocab.remove_extra_whitespaces &&
         text.find("\xE2\x96\x81") == std::string_view::npos;
}

void check_streaming(const Tokenizer& t, const std::vector<TokenId>& ids) {
  Detokenizer detokenizer(t);
  std::string streamed, whole, bytes = t.decode(ids);
  for (const TokenId id : ids) streamed += detokenizer.push(id);
  streamed += detokenizer.flush();
  take_complete_utf8(bytes, whole);
  if (!bytes.empty()) whole += to_utf8(0xFFFD);
  require(streamed == whole);
}

void use(const Tokenizer& t, std::string_view text) {
  for (const auto special : {SpecialTokens::kPlainText, SpecialTokens::kParse}) {
    const std::vector<TokenId> ids = t.encode(text, {.special = special});
    for (const TokenId id : ids) {
      require(id >= 0 && static_cast<size_t>(id) < t.size());
      t.piece(id, Tokenizer::ControlTokens::kShow);
      t.ends_generation(id);
    }
    check_streaming(t, ids);
    if (special != SpecialTokens::kPlainText) continue;
    const auto bare = t.encode(text, {.add = AddSpecial::kNever});
    if (is_lossless(t.data(), text)) require(t.decode(bare) == text);
    for (const TokenId id : bare) {
      require(t.kind(id) != TokenKind::kControl || id == t.data().unknown);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  VocabData vocab;
  while (!rest.empty()) {
    const std::string_view line = take_until(rest, '\n');
    if (line == "text") break;
    read_line(vocab, line);
  }
  try {
    const auto tokenizer = Tokenizer::create(std::move(vocab));
    use(*tokenizer, rest);
  } catch (const fathom::Error&) {
    // refused, with a reason
  }
  return 0;
}
