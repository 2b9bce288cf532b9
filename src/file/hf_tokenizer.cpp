#include "file/hf_tokenizer.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "file/hf_pretokenizer.h"
#include "file/hf_special_tokens.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

constexpr int64_t kMaxTokens = 1 << 21;
constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

// GGUF's tokenizer.ggml.token_type.
enum TokenKind : int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

bool within(std::string_view token, std::string_view open, std::string_view close) {
  return token.size() >= open.size() + close.size() && token.starts_with(open) &&
         token.ends_with(close);
}

// Some models forget to call these special.
bool looks_special(std::string_view token) {
  return within(token, "<|", "|>") || within(token, "<\uff5c", "\uff5c>") ||
         within(token, "<unused", ">") || token == "<pad>" || token == "<mask>" ||
         token == "<2mass>" || token == "[@BOS@]";
}

bool is_byte_token(std::string_view token) {
  const auto hex = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
  };
  return token.size() == 6 && token.starts_with("<0x") && token[5] == '>' && hex(token[3]) &&
         hex(token[4]);
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

class VocabularyReader {
 public:
  VocabularyReader(const JsonView& tokenizer, uint64_t rows, Metadata& out)
      : tokenizer_(tokenizer), model_(tokenizer.require("model")), out_(out), rows_(rows) {}

  void read() {
    const std::string type = model_.text("type").value_or("BPE");
    if (type != "BPE") {
      throw with_hint(unsupported(tokenizer_.source(), "has a {} model", quoted_name(type)),
                      "known: BPE");
    }
    refuse_odd_spellings();
    pre_ = read_pretokenizer(tokenizer_);
    if (!pre_.byte_level && !model_.flag("byte_fallback").value_or(false)) {
      throw unsupported(tokenizer_.source(),
                        "is BPE that is neither byte-level nor falls back to bytes");
    }
    read_vocabulary();
    read_added_tokens();
    read_merges();
    finish();
  }

  // Of tokens that are in the vocabulary, added ones included.
  const std::unordered_map<std::string, int64_t>& ids() const { return ids_; }

 private:
  void refuse_odd_spellings() {
    for (const std::string key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!model_.text(key).value_or("").empty()) {
        throw unsupported(tokenizer_.source(), "has the {} {}", key,
                          quoted_name(*model_.text(key)));
      }
    }
    if (model_.number("dropout").value_or(0) != 0) {
      throw unsupported(tokenizer_.source(), "drops merges at random");
    }
  }

  void put(int64_t id, std::string token, TokenKind kind) {
    const size_t at = static_cast<size_t>(id);
    if (at >= tokens_.size()) {
      tokens_.resize(at + 1);
      kinds_.resize(at + 1, kUnused);
    }
    tokens_[at] = std::move(token);
    kinds_[at] = kind;
  }

  // Where an entry is fine no path to it is spelled: there are hundreds of thousands.
  int64_t token_id(const Json& number, const std::string& token) const {
    const bool good = number.is_number_unsigned() && number.get<uint64_t>() < kMaxTokens;
    if (!good) {
      throw bad_file(tokenizer_.source(), "token {} has the id {}", quoted_name(token),
                     number.is_number() ? number.dump() : number.type_name());
    }
    return number.get<int64_t>();
  }

  TokenKind kind_of(const std::string& token, const std::string& unknown) const {
    if (pre_.byte_level) return kNormal;
    if (is_byte_token(token)) return kByte;
    return !unknown.empty() && token == unknown ? kUnknown : kNormal;
  }

  void read_vocabulary() {
    const JsonView vocab = model_.require("vocab");
    if (!vocab.is_object()) throw bad_file(vocab.source(), "model.vocab is not an object");
    const std::string unknown = model_.text("unk_token").value_or("");
    std::vector<bool> taken;
    for (const auto& [token, number] : vocab.json().items()) {
      const int64_t id = token_id(number, token);
      const size_t at = static_cast<size_t>(id);
      if (rows_ != 0 && at >= rows_) {
        throw bad_file(vocab.source(), "token {} has the id {}, but the model has {} rows",
                       quoted_name(token), id, rows_);
      }
      if (at >= taken.size()) taken.resize(at + 1);
      if (taken[at]) throw bad_file(vocab.source(), "the token id {} is there twice", id);
      taken[at] = true;
      put(id, token, kind_of(token, unknown));
      ids_[token] = id;
    }
    if (ids_.empty()) throw bad_file(vocab.source(), "model.vocab is empty");
  }

  void read_added_tokens() {
    const auto list = tokenizer_.find("added_tokens");
    for (size_t i = 0; list && i < list->size(); ++i) {
      const JsonView added = list->element(i);
      const std::string token = added.require_text("content");
      const int64_t id = token_id(added.require("id").json(), token);
      ids_[token] = id;
      if (rows_ != 0 && static_cast<uint64_t>(id) >= rows_) continue;
      if (added.flag("lstrip").value_or(false)) strip_left_.push_back(id);
      if (added.flag("rstrip").value_or(false)) strip_right_.push_back(id);
      const bool control = added.flag("special").value_or(false) || looks_special(token);
      const bool unknown = !pre_.byte_level && model_.text("unk_token") == token;
      // What is matched before normalisation is spelled as users write it.
      const std::string shown = control ? token : replaced(token, kSpaceMark, " ");
      put(id, shown, unknown ? kUnknown : control ? kControl : kUserDefined);
    }
  }

  // A merge is "left right" or ["left", "right"]; both and their join are in the vocabulary.
  std::pair<std::string, std::string> merge_at(const JsonView& list, size_t index) const {
    const Json& merge = list.json()[index];
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      return {merge[0].get<std::string>(), merge[1].get<std::string>()};
    }
    if (merge.is_string()) {
      const std::string& text = merge.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
        return {text.substr(0, space), text.substr(space + 1)};
      }
    }
    throw bad_file(list.source(), "model.merges[{}] is not a pair of tokens", index);
  }

  void read_merges() {
    const auto list = model_.find("merges");
    if (!list || !list->is_array()) throw bad_file(model_.source(), "model.merges is not a list");
    merges_.reserve(list->size());
    ranks_.assign(tokens_.size(), SIZE_MAX);
    for (size_t i = 0; i < list->size(); ++i) {
      const auto [left, right] = merge_at(*list, i);
      const auto joined = ids_.find(left + right);
      if (!ids_.contains(left) || !ids_.contains(right) || joined == ids_.end()) {
        throw bad_file(list->source(), "model.merges[{}] is of tokens that are not there: {} {}", i,
                       quoted_name(left), quoted_name(right));
      }
      const size_t id = static_cast<size_t>(joined->second);
      if (id < ranks_.size()) ranks_[id] = std::min(ranks_[id], i);
      // GGUF separates the two by a space; a space in a token is spelled as byte-level spells it.
      if (pre_.byte_level)
        merges_.push_back(replaced(left, " ", "Ġ") + " " + replaced(right, " ", "Ġ"));
    }
  }

  void finish() {
    const size_t rows = std::max<size_t>(tokens_.size(), rows_);
    for (size_t id = 0; id < rows; ++id) {
      if (id >= tokens_.size() || kinds_[id] == kUnused) {
        put(static_cast<int64_t>(id), fmt::format("[PAD{}]", id), kUnused);
      }
    }
    out_.set("tokenizer.ggml.model", std::string(pre_.byte_level ? "gpt2" : "llama"));
    if (pre_.byte_level) {
      out_.set("tokenizer.ggml.merges", std::move(merges_));
      out_.set("fathom.tokenizer.pre_patterns", std::move(pre_.patterns));
    } else {
      out_.set("tokenizer.ggml.scores", scores());
      out_.set("tokenizer.ggml.remove_extra_whitespaces", false);
    }
    out_.set("tokenizer.ggml.add_space_prefix", pre_.prefix_space);
    if (!pre_.normalizer.empty()) out_.set("fathom.tokenizer.normalizer", pre_.normalizer);
    out_.set("fathom.tokenizer.ignore_merges", model_.flag("ignore_merges").value_or(false));
    if (!strip_left_.empty()) out_.set("fathom.tokenizer.strip_left", std::move(strip_left_));
    if (!strip_right_.empty()) out_.set("fathom.tokenizer.strip_right", std::move(strip_right_));
    out_.set("tokenizer.ggml.tokens", std::move(tokens_));
    out_.set("tokenizer.ggml.token_type", std::move(kinds_));
  }

  Floats scores() const {
    const double lowest = -1.0 - static_cast<double>(model_.require("merges").size());
    Floats scores(tokens_.size(), lowest);
    for (size_t id = 0; id < ranks_.size(); ++id) {
      if (ranks_[id] != SIZE_MAX) scores[id] = -static_cast<double>(ranks_[id]);
    }
    return scores;
  }

  const JsonView& tokenizer_;
  const JsonView model_;
  Metadata& out_;
  uint64_t rows_;
  PreTokenizer pre_;
  Strings tokens_;
  Integers kinds_;
  std::unordered_map<std::string, int64_t> ids_;
  Strings merges_;
  std::vector<size_t> ranks_;  // by token: the first merge that makes it
  Integers strip_left_, strip_right_;
};

}  // namespace

void read_hf_tokenizer(const HfTokenizerFiles& files, uint64_t vocabulary, Metadata& out) {
  if (vocabulary > static_cast<uint64_t>(kMaxTokens)) {
    throw bad_file(files.tokenizer.source(),
                   "belongs to a vocabulary of {} tokens; at most {} are read", vocabulary,
                   kMaxTokens);
  }
  VocabularyReader reader(files.tokenizer, vocabulary, out);
  reader.read();
  read_special_tokens(files, reader.ids(), out);
}

}  // namespace fathom::file
