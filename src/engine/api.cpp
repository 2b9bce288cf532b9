// The public classes over the engine's own.
#include <fathom/fathom.h>

#include "engine/engine.h"
#include "engine/session.h"
#include "engine/text_file.h"

namespace fathom {

Model Model::load(const std::string& path, const ModelOptions& options) {
  return Model(engine::Engine::load(path, options));
}

std::string Model::name() const { return engine_->model().config().name; }
std::string Model::architecture() const { return engine_->model().config().architecture; }
size_t Model::context() const { return engine_->context(); }
size_t Model::vocabulary() const { return engine_->tokenizer().size(); }
size_t Model::weight_bytes() const { return engine_->model().weights().bytes(); }
std::string Model::cache_policy() const { return engine_->runner().policy().line; }

std::vector<int32_t> Model::tokenize(std::string_view text) const {
  return engine_->tokenizer().encode(text);
}
std::string Model::detokenize(std::span<const int32_t> tokens) const {
  return engine_->tokenizer().decode(tokens);
}

Session::Session(const Model& model) : impl_(std::make_unique<engine::Session>(model.engine())) {}
Session::Session(std::unique_ptr<engine::Session> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

void Session::feed(std::string_view text, const Progress& progress) {
  impl_->feed_text(text, progress);
}

void Session::feed_file(const std::string& path, const Progress& progress) {
  impl_->feed_text(engine::read_text_file(path), progress);
}

Reply Session::generate(const GenerateOptions& options, const OnText& on_text) {
  return impl_->generate(options, on_text);
}

Reply Session::ask(std::string_view question, const GenerateOptions& options,
                   const OnText& on_text) {
  return impl_->ask(std::string(question), options, on_text);
}

Session Session::fork() const { return Session(std::make_unique<engine::Session>(impl_->fork())); }

size_t Session::tokens() const { return impl_->tokens().size(); }

}  // namespace fathom
