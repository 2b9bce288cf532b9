#include "file/hf_special_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "file/quoted_name.h"

namespace fathom::file {
namespace {

constexpr size_t kMaxTemplates = 64;
constexpr size_t kMaxEnds = 64;

struct Role {
  const char* name;
  const char* gguf;  // as GGUF spells it, once wrongly
};
constexpr Role kRoles[] = {{"bos", "bos"},       {"eos", "eos"},     {"unk", "unknown"},
                           {"sep", "seperator"}, {"pad", "padding"}, {"mask", "mask"}};

// "</s>" or {"content": "</s>", ...}
std::optional<std::string> token_text(const std::optional<JsonView>& file, const std::string& key) {
  const auto entry = file ? file->find(key) : std::nullopt;
  if (!entry) return std::nullopt;
  return entry->is_object() ? entry->text("content") : std::optional(entry->as_text());
}

class SpecialTokens {
 public:
  SpecialTokens(const HfTokenizerFiles& files, const std::unordered_map<std::string, int64_t>& ids,
                Metadata& out)
      : files_(files), ids_(ids), out_(out) {
    const Strings* tokens = out.strings("tokenizer.ggml.tokens");
    count_ = tokens ? static_cast<int64_t>(tokens->size()) : 0;
  }

  void read() {
    for (const Role& role : kRoles) {
      if (const auto id = find(role)) {
        out_.set(fmt::format("tokenizer.ggml.{}_token_id", role.gguf), *id);
      }
    }
    read_ends();
    read_added("bos", Place::kFirst);
    read_added("eos", Place::kLast);
    read_templates();
  }

 private:
  enum class Place { kFirst, kLast };

  std::optional<int64_t> known_id(const std::optional<std::string>& token) const {
    if (!token) return std::nullopt;
    const auto it = ids_.find(*token);
    return it == ids_.end() ? std::nullopt : in_range(it->second);
  }
  std::optional<int64_t> in_range(std::optional<int64_t> id) const {
    return id && *id >= 0 && *id < count_ ? id : std::nullopt;
  }

  // Spelled out in the tokenizer's files, else by number in the model's.
  std::optional<int64_t> find(const Role& role) const {
    const std::string key = std::string(role.name) + "_token";
    for (const auto* file : {&files_.tokenizer_config, &files_.special_tokens_map}) {
      if (const auto id = known_id(token_text(*file, key))) return id;
    }
    for (const auto& file : {files_.generation_config, std::optional(files_.config)}) {
      const auto ids = file ? numbers(*file, key + "_id") : Integers{};
      if (!ids.empty()) return ids.front();
    }
    return std::nullopt;
  }

  // One number or a list of them; those that are no tokens are left out.
  Integers numbers(const JsonView& file, const std::string& key) const {
    Integers out;
    const auto entry = file.find(key);
    if (!entry) return out;
    const size_t count = entry->is_array() ? std::min(entry->size(), kMaxEnds) : 1;
    for (size_t i = 0; i < count; ++i) {
      const JsonView number = entry->is_array() ? entry->element(i) : *entry;
      if (const auto id = in_range(number.as_integer())) out.push_back(*id);
    }
    return out;
  }

  void read_ends() {
    Integers ends;
    if (const auto eos = find(kRoles[1])) ends.push_back(*eos);
    for (const auto& file : {files_.generation_config, std::optional(files_.config)}) {
      if (!file) continue;
      for (const int64_t id : numbers(*file, "eos_token_id")) ends.push_back(id);
    }
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    if (!ends.empty()) out_.set("fathom.tokenizer.eos_ids", std::move(ends));
  }

  // Whether the tokenizer puts this token around a text: as its configuration says, else as its
  // template for one text does.
  void read_added(const std::string& role, Place place) {
    const std::string key = "add_" + role + "_token";
    std::optional<bool> added;
    if (files_.tokenizer_config) added = files_.tokenizer_config->flag(key);
    if (!added) {
      const auto id = out_.integer(fmt::format("tokenizer.ggml.{}_token_id", role), -1);
      added = id >= 0 && known_id(template_end(place)) == id;
    }
    out_.set("tokenizer.ggml." + key, *added);
  }

  // The special token with which the post-processor's template for one text begins or ends.
  std::optional<std::string> template_end(Place place) const {
    const auto post = files_.tokenizer.find("post_processor");
    if (!post) return std::nullopt;
    if (post->text("type") != "Sequence") return template_end_of(*post, place);
    const JsonView list = post->require("processors");
    for (size_t i = 0; i < std::min<size_t>(list.size(), 64); ++i) {
      if (const auto token = template_end_of(list.element(i), place)) return token;
    }
    return std::nullopt;
  }

  static std::optional<std::string> template_end_of(const JsonView& processor, Place place) {
    if (processor.text("type") != "TemplateProcessing") return std::nullopt;
    const auto single = processor.find("single");
    if (!single || !single->is_array() || single->size() == 0) return std::nullopt;
    const JsonView end = single->element(place == Place::kFirst ? 0 : single->size() - 1);
    const auto special = end.find("SpecialToken");
    return special ? special->text("id") : std::nullopt;
  }

  void read_templates() {
    if (!files_.chat_template.empty()) {
      out_.set("tokenizer.chat_template", files_.chat_template);
      return;
    }
    const auto entry =
        files_.tokenizer_config ? files_.tokenizer_config->find("chat_template") : std::nullopt;
    if (!entry) return;
    if (!entry->is_array()) {
      out_.set("tokenizer.chat_template", entry->as_text());
      return;
    }
    Strings names;
    for (size_t i = 0; i < std::min(entry->size(), kMaxTemplates); ++i) {
      const JsonView one = entry->element(i);
      const std::string name = one.require_text("name");
      const bool usual = name == "default";
      out_.set(usual ? "tokenizer.chat_template" : "tokenizer.chat_template." + name,
               one.require_text("template"));
      if (!usual) names.push_back(name);
    }
    if (!names.empty()) out_.set("tokenizer.chat_templates", std::move(names));
  }

  const HfTokenizerFiles& files_;
  const std::unordered_map<std::string, int64_t>& ids_;
  Metadata& out_;
  int64_t count_ = 0;
};

}  // namespace

void read_special_tokens(const HfTokenizerFiles& files,
                         const std::unordered_map<std::string, int64_t>& ids, Metadata& out) {
  SpecialTokens(files, ids, out).read();
}

}  // namespace fathom::file
