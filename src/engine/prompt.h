// From a conversation to tokens, through the model's chat template.
//
// Only the template may speak in control tokens: where a message's content spells one, it is text.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace fathom::engine {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// The template's text for these messages, asking for the assistant's next words. Throws
// Error(kUnsupported) where the model has no template.
std::string render(const Engine& engine, std::span<const Message> messages);

// Tokens of render(engine, messages) from byte `from` on; what the messages contain is plain text.
// BOS is added as the model asks, but only at the beginning and only if the template did not write
// it.
std::vector<TokenId> encode_rendered(const Engine& engine, const std::string& rendered, size_t from,
                                     std::span<const Message> messages);
std::vector<TokenId> encode_conversation(const Engine& engine, std::span<const Message> messages);

// A document and a question about it. The document stands before the conversation where the
// template passes a system message through as it is (the model was trained on bare text first);
// elsewhere it opens the user's turn.
std::vector<Message> question_messages(const Engine& engine, const std::string& document,
                                       const std::string& question);

// The tokens that all of the prompts begin with; at least one of each is left out, so that every
// prompt still has a last token to read.
size_t common_prefix(std::span<const std::vector<TokenId>> prompts);
// What it is worth to read of it once: nothing where the policy chooses tokens for each prompt.
size_t shared_prefix(const Engine& engine, std::span<const std::vector<TokenId>> prompts);

}  // namespace fathom::engine
