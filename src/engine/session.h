// A text that grows in the cache, and the replies generated from it.
//
// Not thread-safe; sessions of one engine take turns.
#pragma once

#include <fathom/fathom.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/prompt.h"

namespace fathom::engine {

class Session {
 public:
  explicit Session(std::shared_ptr<Engine> engine);

  Engine& engine() { return *engine_; }
  const std::vector<TokenId>& tokens() const { return tokens_; }

  // Appends tokens. Throws Error(kTooLong) before anything is read where they do not fit. Where
  // reading them fails later, such as for want of memory, the text is as long as what was read of
  // it, at least what it was. Returns false where `progress` ended it early; what was read stays.
  // Where the policy chooses tokens of a prompt (Runner::chooses_tokens), it chooses anew from the
  // whole text, which is read again; an early end then leaves nothing.
  bool feed(std::span<const TokenId> tokens, const Progress& progress = {});
  void feed_text(std::string_view text, const Progress& progress = {});

  // Makes the text equal to `tokens`: keeps the cache of the common beginning, forgets the rest,
  // reads what is new. At least the last token is read.
  bool rewrite(std::span<const TokenId> tokens, const Progress& progress = {});

  // Continues the text. Throws Error(kUsage) where there is nothing to continue.
  Reply generate(const GenerateOptions& options, const OnText& on_text);

  // Appends a turn of the user in the model's chat format, and generates the reply. Text fed before
  // the first turn stands before the conversation. Where it fails, the turn is taken back, if the
  // policy allows it (Runner::can_rewind).
  Reply ask(const std::string& question, const GenerateOptions& options, const OnText& on_text);
  // Sets the system message. REQUIRES: nothing was asked yet.
  void set_system(const std::string& content) { messages_.push_back({"system", content}); }

  Session fork() const;

 private:
  Session(std::shared_ptr<Engine> engine, kv::SequenceCache cache);
  void require_room(size_t more) const;
  bool read_on(std::span<const TokenId> more, const Progress& progress);
  bool read(std::span<const TokenId> tokens, const Progress& progress);
  bool read_anew(std::span<const TokenId> tokens, const Progress& progress);
  bool read_behind(std::span<const TokenId> tokens, const Progress& progress);
  void take_back(size_t length);
  StopReason decode(const GenerateOptions& options, const OnText& on_text, Reply& reply);

  std::shared_ptr<Engine> engine_;
  kv::SequenceCache cache_;
  std::vector<TokenId> tokens_;
  // The newest tokens that the cache does not hold: a reply's last one is read only when something
  // follows it; more where reading failed.
  size_t unread_ = 0;
  std::vector<float> logits_;  // of the last token; empty before the first and while it is unread
  std::vector<Message> messages_;  // of the conversation
  std::string conversation_;       // as rendered, with the last reply: what the cache holds of it
  // Since the last reply: what the next one will say it cost.
  size_t fed_tokens_ = 0;
  double fed_seconds_ = 0;
  double fed_pairs_ = 0, fed_causal_pairs_ = 0;  // computed, and what dense attention computes
};

}  // namespace fathom::engine
