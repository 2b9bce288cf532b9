#include "text/special_tokens.h"

#include <algorithm>
#include <set>

namespace fathom::text {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";

bool contains(const std::set<TokenId>& ids, TokenId id) { return ids.find(id) != ids.end(); }

bool is_matched(TokenKind kind, SpecialTokenSplitter::Which which) {
  if (kind == TokenKind::kUserDefined) return true;
  const bool control = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
  return control && which == SpecialTokenSplitter::Which::kAll;
}

std::string_view without_trailing_space(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

size_t skip_space(std::string_view text, size_t from) {
  return std::min(text.find_first_not_of(kSpaces, from), text.size());
}

}  // namespace

SpecialTokenSplitter::SpecialTokenSplitter(const VocabData& data, Which which) {
  const std::set<TokenId> left(data.strip_left.begin(), data.strip_left.end());
  const std::set<TokenId> right(data.strip_right.begin(), data.strip_right.end());
  for (size_t i = 0; i < data.tokens.size(); ++i) {
    if (!is_matched(data.kinds[i], which)) continue;
    const TokenId id = static_cast<TokenId>(i);
    trie_.add(data.tokens[i], static_cast<uint32_t>(entries_.size()));
    const bool control = data.kinds[i] != TokenKind::kUserDefined;
    entries_.push_back({id, control, contains(left, id), contains(right, id)});
  }
}

void SpecialTokenSplitter::split(std::string_view text, std::span<const TextRange> plain,
                                 const Receiver& receiver) const {
  size_t done = 0;
  const auto is_plain = [&plain](size_t begin, size_t end) {
    while (!plain.empty() && plain.front().end <= begin) plain = plain.subspan(1);
    return !plain.empty() && plain.front().begin < end;
  };
  for (size_t at = 0; at < text.size();) {
    if (!trie_.may_begin(text[at])) {
      ++at;
      continue;
    }
    const auto found = trie_.longest_prefix(text.substr(at));
    if (!found || (entries_[found->number].control && is_plain(at, at + found->length))) {
      ++at;
      continue;
    }
    const Entry& entry = entries_[found->number];
    std::string_view before = text.substr(done, at - done);
    if (entry.strips_left) before = without_trailing_space(before);
    if (!before.empty()) receiver.text(before);
    receiver.token(entry.token);
    at += found->length;
    if (entry.strips_right) at = skip_space(text, at);
    done = at;
  }
  if (done < text.size()) receiver.text(text.substr(done));
}

std::vector<TextRange> SpecialTokenSplitter::control_tokens(std::string_view text) const {
  std::vector<TextRange> out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!trie_.may_begin(text[at])) continue;
    const auto found = trie_.longest_prefix(text.substr(at));
    if (found && entries_[found->number].control) out.push_back({at, at + found->length});
  }
  return out;
}

}  // namespace fathom::text
