#include "eval/prompt.h"

#include <algorithm>

#include "base/error.h"
#include "engine/prompt.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"
#include "eval/task_score.h"

namespace fathom::eval {
namespace {

using engine::Engine;
using engine::Message;
using engine::TokenId;

text::EncodeOptions going_on() {
  text::EncodeOptions options;
  options.add = text::AddSpecial::kNever;
  return options;
}

void append(std::vector<TokenId>& tokens, const std::vector<TokenId>& more) {
  tokens.insert(tokens.end(), more.begin(), more.end());
}

bool is_conversation(AskMode mode) {
  return mode == AskMode::kMultiTurn || mode == AskMode::kOwnTurns;
}

std::string document_of(const Instance& instance) {
  if (instance.instruction.empty()) return instance.context;
  return instance.instruction + "\n\n" + instance.context;
}

// The gold answer as a conversation goes on with it.
std::string gold_answer(const Instance& instance, size_t turn) {
  const Turn& t = instance.turns[turn];
  return (t.answer_prefix.empty() ? "" : t.answer_prefix + " ") + gold_text(instance, turn);
}

std::vector<TokenId> chat_prompt(const Engine& engine, const Instance& instance, size_t turn,
                                 AskMode mode) {
  const size_t first = is_conversation(mode) ? 0 : turn;
  std::vector<Message> messages =
      engine::question_messages(engine, document_of(instance), instance.turns[first].input);
  for (size_t t = first; t < turn; ++t) {
    messages.push_back({"assistant", gold_answer(instance, t)});
    messages.push_back({"user", instance.turns[t + 1].input});
  }
  std::vector<TokenId> tokens = engine::encode_conversation(engine, messages);
  const std::string& lead_in = instance.turns[turn].answer_prefix;
  if (lead_in.empty()) return tokens;
  append(tokens, engine.tokenizer().encode(lead_in, going_on()));
  return tokens;
}

std::vector<TokenId> plain_prompt(const Engine& engine, const Instance& instance, size_t turn,
                                  AskMode mode) {
  const size_t first = is_conversation(mode) ? 0 : turn;
  std::string text = document_of(instance);
  for (size_t t = first; t <= turn; ++t) {
    const std::string& input = instance.turns[t].input;
    if (!input.empty()) text += "\n\n" + input;
    const std::string answer =
        t < turn ? gold_answer(instance, t) : instance.turns[t].answer_prefix;
    if (!answer.empty()) text += "\n" + answer;
  }
  return engine.tokenizer().encode(text);
}

// Where each token's text ends, in bytes of the whole; and that whole.
struct TokenText {
  std::string text;
  std::vector<size_t> ends;
};
TokenText text_of(const Engine& engine, std::span<const TokenId> tokens) {
  TokenText out;
  for (const TokenId id : tokens) {
    out.text += engine.tokenizer().piece(id);
    out.ends.push_back(out.text.size());
  }
  return out;
}

// The context up to the byte where its first `n` tokens end, moved to a character's border.
size_t bytes_of_tokens(const TokenText& tokens, const std::string& context, size_t n) {
  const size_t ahead = tokens.text.size() - std::min(tokens.text.size(), context.size());
  const size_t end = n == 0 ? 0 : tokens.ends[n - 1];
  size_t at = std::min(context.size(), end - std::min(end, ahead));
  while (at < context.size() && (static_cast<unsigned char>(context[at]) & 0xC0) == 0x80) ++at;
  return at;
}

void move_spans(Instance& instance, size_t begin, size_t end) {
  for (Turn& t : instance.turns) {
    std::vector<Span> left;
    for (const Span& s : t.gold) {
      if (s.end <= begin) left.push_back(s);
      if (s.begin >= end) left.push_back({s.begin - (end - begin), s.end - (end - begin)});
    }
    t.gold = left;
  }
}

// What a chat template writes behind an assistant's words, up to what it is to say next.
std::vector<TokenId> chat_tail(const Engine& engine, const Instance& instance, size_t turn) {
  static const std::string kMark = "\xF4\x8F\xBF\xBD";  // U+10FFFD, which means nothing
  std::vector<Message> messages =
      engine::question_messages(engine, document_of(instance), instance.turns[turn - 1].input);
  messages.push_back({"assistant", kMark});
  messages.push_back({"user", instance.turns[turn].input});
  const std::string rendered = engine::render(engine, messages);
  const size_t at = rendered.rfind(kMark);
  if (at == std::string::npos) {
    throw with_hint(unsupported(engine.checkpoint().path(),
                                "the chat template does not repeat what was answered"),
                    "ask with --answers golden");
  }
  return engine::encode_rendered(engine, rendered, at + kMark.size(), messages);
}

// Tokens of the longest prompt, and of the longest answer, or of all where all stay.
size_t longest_session(const Engine& engine, const Instance& instance, AskMode mode) {
  size_t prompt = 0, answer = 0;
  for (size_t t = 0; t < instance.turns.size(); ++t) {
    prompt = std::max(prompt, question_prompt(engine, instance, t, AskMode::kMultiTurn).size());
    const size_t set = instance.turns[t].max_new, most = set == 0 ? size_t{128} : set;
    answer = mode == AskMode::kOwnTurns ? answer + most : std::max(answer, most);
  }
  return prompt + answer;
}

}  // namespace

AskMode parse_ask_mode(std::string_view mode, std::string_view answers) {
  if (answers != "golden" && answers != "own") {
    throw with_hint(usage_error("--answers", "'{}' is not known", answers), "known: golden, own");
  }
  if (answers == "own") {
    if (mode == ask_mode_name(AskMode::kMultiTurn)) return AskMode::kOwnTurns;
    throw with_hint(usage_error("--answers", "only a conversation has earlier answers"),
                    "--mode multi-turn --answers own");
  }
  for (const AskMode m : {AskMode::kMultiRequest, AskMode::kMultiTurn, AskMode::kSingle}) {
    if (mode == ask_mode_name(m)) return m;
  }
  throw with_hint(usage_error("--mode", "'{}' is not known", mode),
                  "known: multi-request, multi-turn, single");
}

std::string_view ask_mode_name(AskMode mode) {
  constexpr std::string_view kNames[] = {"multi-request", "multi-turn", "single", "multi-turn-own"};
  return kNames[static_cast<size_t>(mode)];
}

std::vector<TokenId> question_prompt(const Engine& engine, const Instance& instance, size_t turn,
                                     AskMode mode) {
  return engine.chat_template() ? chat_prompt(engine, instance, turn, mode)
                                : plain_prompt(engine, instance, turn, mode);
}

std::vector<TokenId> prompt_after(const Engine& engine, const Instance& instance, size_t turn,
                                  std::vector<TokenId> prompt, const OwnAnswer& answer) {
  const text::Tokenizer& tokenizer = engine.tokenizer();
  std::vector<TokenId> said = answer.tokens;
  // Of a token that also holds the beginning of a stop string only the answer's part is said again.
  while (!said.empty() && tokenizer.decode(said).size() > answer.text.size()) said.pop_back();
  const size_t written = tokenizer.decode(said).size();
  const std::string rest =
      said.size() < answer.tokens.size() ? answer.text.substr(written) : std::string();
  append(prompt, said);
  const Turn& next = instance.turns[turn];
  if (engine.chat_template()) {
    if (!rest.empty()) append(prompt, tokenizer.encode(rest, going_on()));
    append(prompt, chat_tail(engine, instance, turn));
    if (!next.answer_prefix.empty()) {
      append(prompt, tokenizer.encode(next.answer_prefix, going_on()));
    }
    return prompt;
  }
  std::string text = rest;
  if (!next.input.empty()) text += "\n\n" + next.input;
  if (!next.answer_prefix.empty()) text += "\n" + next.answer_prefix;
  append(prompt, tokenizer.encode(text, going_on()));
  return prompt;
}

// A last prompt asks something else, so that the common beginning ends before the question.
size_t blind_prefix(const Engine& engine, const Instance& instance,
                    std::vector<std::vector<TokenId>> prompts) {
  Instance other = instance;
  other.turns.resize(1);
  other.turns[0].input = other.turns[0].input.starts_with("?") ? "!" : "?";
  prompts.push_back(question_prompt(engine, other, 0, AskMode::kSingle));
  return engine::common_prefix(prompts);
}

size_t frame_tokens(const Engine& engine, size_t turns) {
  Instance instance;
  instance.task = "kv";
  instance.context = "A text.";
  instance.turns.resize(turns);
  for (Turn& t : instance.turns) {
    t.input = "What?";
    t.answers = {"This."};
  }
  const auto tokens = [&](auto prompt) {
    return prompt(engine, instance, turns - 1, AskMode::kMultiTurn).size();
  };
  const size_t framed = tokens(question_prompt), plain = tokens(plain_prompt);
  return framed > plain ? framed - plain : 0;
}

std::vector<TokenId> lead_tokens(const Engine& engine, const Turn& turn) {
  if (turn.lead_in.empty()) return {};
  Turn alone = turn;
  alone.lead_in.clear();
  return answer_tokens(engine, alone, turn.lead_in);
}

std::vector<TokenId> answer_tokens(const Engine& engine, const Turn& turn,
                                   const std::string& answer) {
  // Behind a chat's header an answer stands by itself.
  const bool alone = turn.answer_prefix.empty() && turn.lead_in.empty();
  const bool spaced =
      !(engine.chat_template() && alone) && !engine.tokenizer().strips_leading_space();
  return engine.tokenizer().encode(spaced ? " " + answer : answer, going_on());
}

std::vector<Span> gold_tokens(const Engine& engine, const Instance& instance, size_t turn,
                              std::span<const TokenId> prompt) {
  const TokenText tokens = text_of(engine, prompt);
  const std::string head = instance.context.substr(0, 200);
  const size_t start = tokens.text.find(head);
  std::vector<Span> out;
  if (head.empty() || start == std::string::npos) return out;
  for (const Span& s : instance.turns[turn].gold) {
    // The tokens that hold the span's first and last byte, and those between.
    const auto token_at = [&](size_t byte) {
      return static_cast<size_t>(
          std::upper_bound(tokens.ends.begin(), tokens.ends.end(), start + byte) -
          tokens.ends.begin());
    };
    if (s.end <= s.begin) continue;
    out.push_back({token_at(s.begin), token_at(s.end - 1) + 1});
  }
  return out;
}

size_t cut_middle(const Engine& engine, Instance& instance, size_t limit, AskMode mode) {
  const size_t session = longest_session(engine, instance, mode);
  if (session <= limit) return 0;
  const auto ids = engine.tokenizer().encode(instance.context, going_on());
  // Ends that no longer meet may take some tokens more.
  const size_t excess = session - limit + 8;
  if (excess >= ids.size()) {
    throw with_hint(Error(ErrorCode::kTooLong, instance.id,
                          fmt::format("its questions and answers alone do not fit into a context "
                                      "of {}",
                                      limit)),
                    "ask for a larger one with --ctx, or for fewer --turns");
  }
  const TokenText tokens = text_of(engine, ids);
  const size_t left = ids.size() - excess;
  const size_t begin = bytes_of_tokens(tokens, instance.context, left - left / 2);
  const size_t end = bytes_of_tokens(tokens, instance.context, ids.size() - left / 2);
  move_spans(instance, begin, end);
  instance.context.erase(begin, end - begin);
  instance.cut_tokens += excess;
  return excess;
}

}  // namespace fathom::eval
