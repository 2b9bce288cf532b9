// Any texts as config.json, tokenizer.json, tokenizer_config.json, special_tokens_map.json and
// generation_config.json, in that order, separated by the character U+001E.
#include "base/error.h"
#include "file/huggingface.h"
#include "fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  std::string_view rest = fuzz::text_of(data, size);
  const auto next = [&] {
    const size_t end = rest.find('\x1e');
    const std::string text(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return text;
  };
  file::HuggingFaceTexts texts;
  texts.config = next();
  texts.tokenizer = next();
  texts.tokenizer_config = next();
  texts.special_tokens_map = next();
  texts.generation_config = next();
  try {
    const file::Metadata m = file::huggingface_metadata(texts, "fuzz");
    const size_t tokens = m.strings("tokenizer.ggml.tokens")->size();
    FATHOM_CHECK(m.integers("tokenizer.ggml.token_type")->size() == tokens);
    const auto scores = m.numbers("tokenizer.ggml.scores");
    FATHOM_CHECK(!scores || scores->size() == tokens);
    for (const char* role : {"bos", "eos", "unknown", "padding"}) {
      const std::string key = std::string("tokenizer.ggml.") + role + "_token_id";
      FATHOM_CHECK(m.integer(key, -1) < static_cast<int64_t>(tokens));
    }
  } catch (const Error&) {
  }
  return 0;
}
