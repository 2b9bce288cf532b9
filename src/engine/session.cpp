#include "engine/session.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "decode/sampler.h"
#include "decode/stop.h"
#include "kv/account.h"
#include "text/detokenizer.h"

namespace fathom::engine {
namespace {

class Timer {
 public:
  double seconds() const {
    const std::chrono::duration<double> d = std::chrono::steady_clock::now() - start_;
    return d.count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

decode::Sampler make_sampler(const GenerateOptions& options, const Engine& engine,
                             std::span<const TokenId> history) {
  decode::Sampler sampler(options.sampling);
  for (const TokenId id : history) sampler.accept(id);
  if (options.ignore_eos) {
    for (size_t id = 0; id < engine.tokenizer().size(); ++id) {
      if (engine.tokenizer().ends_generation(static_cast<TokenId>(id))) {
        sampler.forbid(static_cast<TokenId>(id));
      }
    }
  }
  return sampler;
}

}  // namespace

Session::Session(std::shared_ptr<Engine> engine)
    : engine_(std::move(engine)), cache_(engine_->runner().new_cache()) {}

Session::Session(std::shared_ptr<Engine> engine, kv::SequenceCache cache)
    : engine_(std::move(engine)), cache_(std::move(cache)) {}

void Session::require_room(size_t more) const {
  const size_t length = tokens_.size() + more;
  if (length <= engine_->context()) return;
  throw with_hint(
      Error(ErrorCode::kTooLong, "prompt",
            fmt::format("{} tokens do not fit into the context of {}", length, engine_->context())),
      fmt::format(
          "ask for a larger one (--ctx {}), or read less text; nothing is ever cut silently",
          length + 256));
}

bool Session::feed(std::span<const TokenId> tokens, const Progress& progress) {
  require_room(tokens.size());
  return tokens.empty() || read_on(tokens, progress);
}

// What is unread of the text, then `more`. Where that fails, nothing of the text is lost.
bool Session::read_on(std::span<const TokenId> more, const Progress& progress) {
  std::vector<TokenId> text = tokens_;
  text.insert(text.end(), more.begin(), more.end());
  const size_t before = tokens_.size(), from = before - unread_;
  tokens_.resize(from);
  unread_ = 0;
  try {
    return read(std::span(text).subspan(from), progress);
  } catch (...) {
    const size_t held = cache_.text_length();
    text.resize(std::max(before, held));
    tokens_ = std::move(text);
    unread_ = tokens_.size() - held;
    if (held != before) logits_.clear();
    throw;
  }
}

// REQUIRES: the cache holds tokens_.
bool Session::read(std::span<const TokenId> tokens, const Progress& progress) {
  if (tokens.size() > 1 && engine_->runner().chooses_tokens(tokens_.size() + tokens.size())) {
    return read_anew(tokens, progress);
  }
  return read_behind(tokens, progress);
}

// The text so far with these tokens, for which the policy chooses what the model reads.
bool Session::read_anew(std::span<const TokenId> tokens, const Progress& progress) {
  std::vector<TokenId> text = std::move(tokens_);
  text.insert(text.end(), tokens.begin(), tokens.end());
  tokens_.clear();
  cache_.truncate(0);
  return read_behind(text, progress);
}

bool Session::read_behind(std::span<const TokenId> tokens, const Progress& progress) {
  const Timer timer;
  kv::Attender& attender = engine_->runner().attender();
  attender.reset_account();
  const std::span<const float> logits = engine_->runner().read(cache_, tokens, progress);
  fed_pairs_ += attender.account().visited;
  fed_causal_pairs_ += attender.account().causal;
  const size_t n = cache_.text_length() - tokens_.size();
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
  logits_.assign(logits.begin(), logits.end());
  fed_tokens_ += n;
  fed_seconds_ += timer.seconds();
  return n == tokens.size();
}

void Session::feed_text(std::string_view text, const Progress& progress) {
  text::EncodeOptions options;
  if (!tokens_.empty()) options.add = text::AddSpecial::kNever;
  feed(engine_->tokenizer().encode(text, options), progress);
}

bool Session::rewrite(std::span<const TokenId> tokens, const Progress& progress) {
  const auto [old_end, new_end] =
      std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end());
  size_t keep = static_cast<size_t>(old_end - tokens_.begin());
  const size_t held = cache_.text_length();
  keep = std::min(keep, held);
  if (keep == tokens.size() && keep > 0) --keep;
  if (keep < held && !engine_->runner().can_rewind(cache_)) keep = 0;
  if (tokens.size() > engine_->context()) require_room(tokens.size() - tokens_.size());
  if (keep < held) cache_.truncate(keep);
  tokens_.resize(keep);
  unread_ = 0;
  logits_.clear();
  return feed(tokens.subspan(keep), progress);
}

Session Session::fork() const {
  Session copy(engine_, cache_.fork());
  copy.tokens_ = tokens_;
  copy.unread_ = unread_;
  copy.logits_ = logits_;
  copy.messages_ = messages_;
  copy.conversation_ = conversation_;
  return copy;
}

Reply Session::generate(const GenerateOptions& options, const OnText& on_text) {
  if (unread_ > 0) read_on({}, {});
  if (logits_.empty()) throw usage_error("prompt", "there is no text to continue");
  Reply reply;
  reply.price.prompt_tokens = fed_tokens_;
  reply.price.prompt_seconds = fed_seconds_;
  reply.price.prompt_read = fed_causal_pairs_ > 0 ? fed_pairs_ / fed_causal_pairs_ : 1.0;
  engine_->runner().attender().reset_account();
  if (kv::Ledger* ledger = cache_.ledger()) ledger->begin_reply();
  reply.reason = decode(options, on_text, reply);
  if (cache_.ledger()) reply.account = kv::make_account(cache_, engine_->runner().policy());
  reply.price.keys_read = engine_->runner().attender().fetch_account().share();
  reply.price.context_tokens = cache_.length();
  reply.price.kv_bytes = cache_.bytes();
  fed_tokens_ = 0;
  fed_seconds_ = 0;
  fed_pairs_ = fed_causal_pairs_ = 0;
  return reply;
}

Reply Session::ask(const std::string& question, const GenerateOptions& options,
                   const OnText& on_text) {
  std::vector<Message> messages = messages_;
  messages.push_back({"user", question});
  const std::string rendered = render(*engine_, messages);
  // What the cache holds already is not read again, unless the template rewrote what it said
  // before.
  const bool continues = rendered.rfind(conversation_, 0) == 0;
  const size_t from = continues ? conversation_.size() : 0;
  std::vector<TokenId> tokens = encode_rendered(*engine_, rendered, from, messages);
  if (from == 0 && !tokens_.empty() && !tokens.empty() &&
      tokens.front() == engine_->tokenizer().data().bos) {
    tokens.erase(tokens.begin());  // the text before the conversation has it
  }
  const size_t before = tokens_.size();
  Reply reply;
  try {
    feed(tokens);
    reply = generate(options, on_text);
  } catch (...) {
    take_back(before);
    throw;
  }
  messages.push_back({"assistant", reply.text});
  messages_ = std::move(messages);
  conversation_ = rendered + reply.text;
  return reply;
}

// Makes the text as short again, where the policy allows it. The last token is to be read again.
void Session::take_back(size_t length) {
  if (cache_.text_length() <= length || !engine_->runner().can_rewind(cache_)) return;
  unread_ = std::min<size_t>(1, length);
  cache_.truncate(length - unread_);
  tokens_.resize(length);
  logits_.clear();
}

StopReason Session::decode(const GenerateOptions& options, const OnText& on_text, Reply& reply) {
  const text::Tokenizer& tokenizer = engine_->tokenizer();
  decode::Sampler sampler = make_sampler(options, *engine_, tokens_);
  decode::StopStrings stops(options.stop);
  text::Detokenizer detokenizer(tokenizer);
  const auto show = [&](std::string_view text) {
    reply.text += text;
    return text.empty() || !on_text || on_text(text);
  };
  const auto finish = [&](StopReason reason) {
    const decode::StopStrings::Result last = stops.push(detokenizer.flush());
    show(last.text);
    if (!last.stopped) show(stops.flush());
    return reason;
  };
  const size_t most = options.max_tokens < 0 ? SIZE_MAX : static_cast<size_t>(options.max_tokens);
  if (most == 0) return StopReason::kMaxTokens;
  Timer timer;
  for (;;) {
    const TokenId id = sampler.sample(logits_);
    if (reply.tokens.empty()) {
      reply.price.time_to_first_token = fed_seconds_ + timer.seconds();
      timer = Timer();
    }
    if (tokenizer.ends_generation(id)) return finish(StopReason::kEnd);
    sampler.accept(id);
    reply.tokens.push_back(id);
    reply.price.generated_tokens = reply.tokens.size();
    reply.price.generate_seconds = timer.seconds();
    const decode::StopStrings::Result text = stops.push(detokenizer.push(id));
    const bool go_on = show(text.text);
    if (tokens_.size() >= engine_->context()) return finish(StopReason::kContextFull);
    tokens_.push_back(id);
    unread_ = 1;
    if (text.stopped) return StopReason::kStopString;
    if (!go_on) return StopReason::kInterrupted;
    if (reply.tokens.size() >= most) return finish(StopReason::kMaxTokens);
    const std::span<const float> logits = engine_->runner().read(cache_, {&id, 1});
    unread_ = 0;
    logits_.assign(logits.begin(), logits.end());
  }
}

}  // namespace fathom::engine
