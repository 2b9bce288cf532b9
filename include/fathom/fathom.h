// Fathom's public interface: load a model, make a session, feed it text, generate, fork.
//
//   fathom::Model model = fathom::Model::load("model.gguf");
//   fathom::Session session(model);
//   session.feed_file("book.txt");
//   fathom::Reply reply = session.ask("Who killed the whale?", {}, print);
//
// Every failure that the caller can do something about is a fathom::Error (fathom/error.h).
//
// Threads: a Model and all its sessions share one engine, which runs one operation at a time; use
// them from one thread, or guard them with one mutex. Work inside an operation is parallel.
#pragma once

#include <fathom/error.h>
#include <fathom/options.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

namespace engine {
class Engine;
class Session;
}  // namespace engine

// Receives text as it is generated, always whole UTF-8 characters; false stops.
using OnText = std::function<bool(std::string_view)>;

// A loaded model with its tokenizer. A cheap handle: copies share the model.
class FATHOM_API Model {
 public:
  // `path`: a GGUF file, the first part of a split one, or a Hugging Face folder.
  static Model load(const std::string& path, const ModelOptions& options = {});

  std::string name() const;
  std::string architecture() const;
  size_t context() const;     // tokens that a session may hold
  size_t vocabulary() const;  // tokens in the vocabulary
  size_t weight_bytes() const;
  std::string cache_policy() const;

  std::vector<int32_t> tokenize(std::string_view text) const;
  std::string detokenize(std::span<const int32_t> tokens) const;

  const std::shared_ptr<engine::Engine>& engine() const { return engine_; }

 private:
  explicit Model(std::shared_ptr<engine::Engine> engine) : engine_(std::move(engine)) {}
  std::shared_ptr<engine::Engine> engine_;
};

// A text that grows: what was fed and generated so far, in the model's cache. Move-only.
class FATHOM_API Session {
 public:
  explicit Session(const Model& model);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Appends text as it is. The first text of a session begins with the model's BOS, if it has one.
  // Throws Error(kTooLong), before anything is read, where it does not fit the context.
  void feed(std::string_view text, const Progress& progress = {});
  void feed_file(const std::string& path, const Progress& progress = {});

  // Continues the text until the model ends it.
  Reply generate(const GenerateOptions& options = {}, const OnText& on_text = {});
  // Asks about the text fed so far, in the model's chat format, and appends question and answer.
  Reply ask(std::string_view question, const GenerateOptions& options = {},
            const OnText& on_text = {});

  // Another session with the same text, at the cost of nothing: they share the cache of what they
  // have in common.
  Session fork() const;

  size_t tokens() const;

 private:
  explicit Session(std::unique_ptr<engine::Session> impl);
  std::unique_ptr<engine::Session> impl_;
};

}  // namespace fathom
