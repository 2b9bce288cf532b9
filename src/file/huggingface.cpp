#include "file/huggingface.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

#include "base/error.h"
#include "file/hf_config.h"
#include "file/hf_names.h"
#include "file/hf_tokenizer.h"
#include "file/quoted_name.h"
#include "file/safetensors.h"

namespace fathom::file {
namespace {

constexpr JsonLimits kConfigLimits{.bytes = 1u << 20, .depth = 16, .values = 1u << 16};
constexpr JsonLimits kTokenizerLimits{.bytes = 128u << 20, .depth = 24, .values = 6u << 20};
constexpr size_t kMaxTemplate = 4u << 20;

std::string in_folder(const std::string& folder, std::string_view name) {
  return (std::filesystem::path(folder) / name).string();
}

bool is_there(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::string text_of(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Empty where there is no such file.
std::string text_if_there(const std::string& folder, std::string_view name) {
  const std::string path = in_folder(folder, name);
  return is_there(path) ? text_of(path) : "";
}

HuggingFaceTexts read_texts(const std::string& folder) {
  if (!is_there(in_folder(folder, "config.json"))) {
    throw with_hint(bad_file(folder, "is a folder without config.json"),
                    "MODEL is a .gguf file or a Hugging Face folder");
  }
  if (!is_there(in_folder(folder, "tokenizer.json"))) {
    const bool model = is_there(in_folder(folder, "tokenizer.model"));
    throw with_hint(bad_file(folder, "has no tokenizer.json"),
                    model ? "tokenizer.model alone is not read; AutoTokenizer's save_pretrained "
                            "writes tokenizer.json from it"
                          : "a folder has config.json, tokenizer.json and *.safetensors");
  }
  HuggingFaceTexts texts;
  texts.config = text_of(in_folder(folder, "config.json"));
  texts.tokenizer = text_of(in_folder(folder, "tokenizer.json"));
  texts.tokenizer_config = text_if_there(folder, "tokenizer_config.json");
  texts.special_tokens_map = text_if_there(folder, "special_tokens_map.json");
  texts.generation_config = text_if_there(folder, "generation_config.json");
  texts.chat_template = text_if_there(folder, "chat_template.jinja");
  const std::string wrapped = text_if_there(folder, "chat_template.json");
  if (texts.chat_template.empty() && !wrapped.empty()) {
    const std::string source = in_folder(folder, "chat_template.json");
    const Json json = parse_json(wrapped, source, kConfigLimits);
    texts.chat_template = JsonView(json, source).text("chat_template").value_or("");
  }
  return texts;
}

// A text, parsed, with the name it goes by; both must live as long as views of it.
struct ParsedText {
  ParsedText(const std::string& text, const std::string& folder, std::string_view name,
             const JsonLimits& limits)
      : source(in_folder(folder, name)) {
    if (!text.empty()) json = parse_json(text, source, limits);
  }
  std::optional<JsonView> view() const {
    return json.is_null() ? std::nullopt : std::optional(JsonView(json, source));
  }
  JsonView require() const {
    if (!json.is_object()) throw bad_file(source, "is not a JSON object");
    return JsonView(json, source);
  }

  std::string source;
  Json json;
};

void read_vocabulary(const HuggingFaceTexts& texts, const std::string& folder,
                     const JsonView& config, uint64_t rows, Metadata& out) {
  if (texts.chat_template.size() > kMaxTemplate) {
    throw bad_file(folder, "has a chat template of {} bytes", texts.chat_template.size());
  }
  const ParsedText tokenizer(texts.tokenizer, folder, "tokenizer.json", kTokenizerLimits);
  const ParsedText tokenizer_config(texts.tokenizer_config, folder, "tokenizer_config.json",
                                    kTokenizerLimits);
  const ParsedText map(texts.special_tokens_map, folder, "special_tokens_map.json", kConfigLimits);
  const ParsedText generation(texts.generation_config, folder, "generation_config.json",
                              kConfigLimits);
  const HfTokenizerFiles files{.tokenizer = tokenizer.require(),
                               .config = config,
                               .tokenizer_config = tokenizer_config.view(),
                               .special_tokens_map = map.view(),
                               .generation_config = generation.view(),
                               .chat_template = texts.chat_template};
  read_hf_tokenizer(files, rows, out);
}

TensorType tensor_type(const SafetensorsView& tensor, const std::string& source) {
  switch (tensor.type) {
    case ElementType::kF32:
      return TensorType::kF32;
    case ElementType::kF16:
      return TensorType::kF16;
    case ElementType::kBF16:
      return TensorType::kBF16;
    default:
      break;
  }
  throw with_hint(
      unsupported(source, "tensor {} is {}", quoted_name(tensor.name), element_name(tensor.type)),
      "weights are BF16, F16 or F32");
}

std::vector<std::byte> bytes_of(std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return {bytes.begin(), bytes.end()};
}

// Fills a checkpoint's tensors from the folder's safetensors files.
class WeightsReader {
 public:
  WeightsReader(const std::string& folder, const HfConfig& config, CheckpointBuilder& out)
      : folder_(folder), config_(config), out_(out) {}

  void read() {
    const SafetensorsShards shards = find_safetensors(folder_);
    for (const std::string& name : shards.files) read_file(name, shards);
    if (!shards.file_of.empty() && seen_ != shards.file_of.size()) report_missing(shards);
    add_rope_divisors();
    check_output();
  }

 private:
  void read_file(const std::string& name, const SafetensorsShards& shards) {
    const MappedFile& file = out_.add_file(MappedFile(in_folder(folder_, name)));
    const SafetensorsContents contents = read_safetensors(file);
    for (const SafetensorsView& tensor : contents.tensors) {
      if (!shards.file_of.empty()) {
        const auto place = shards.file_of.find(tensor.name);
        if (place == shards.file_of.end() || place->second != name) {
          throw bad_file(file.path(), "holds tensor {}, which the index puts elsewhere",
                         quoted_name(tensor.name));
        }
      }
      ++seen_;
      add(file, tensor);
    }
  }

  void add(const MappedFile& file, const SafetensorsView& tensor) {
    const auto name = gguf_tensor_name(config_, tensor.name, file.path());
    if (!name) return;
    // With tied embeddings a stored output layer is a left-over copy.
    if (*name == "output.weight" && config_.tied_embeddings.value_or(config_.gemma())) return;
    TensorView view;
    view.name = *name;
    view.type = tensor_type(tensor, file.path());
    view.shape.assign(tensor.shape.rbegin(), tensor.shape.rend());
    view.file = &file;
    view.offset = static_cast<size_t>(tensor.data.data() - file.bytes().data());
    if (tensor.shape.size() == 1) {
      add_vector(std::move(view), tensor);
    } else if (view.offset % element_bytes(tensor.type) != 0) {
      out_.add_owned_tensor(std::move(view), {tensor.data.begin(), tensor.data.end()});
    } else {
      out_.add_tensor(std::move(view));
    }
  }

  void add_vector(TensorView view, const SafetensorsView& tensor) {
    std::vector<float> values = to_floats(tensor);
    if (config_.gemma() && view.name.ends_with("norm.weight")) {
      for (float& v : values) v += 1.0f;
    }
    view.type = TensorType::kF32;
    out_.add_owned_tensor(std::move(view), bytes_of(values));
  }

  void add_rope_divisors() {
    const std::pair<const char*, const std::vector<float>&> computed[] = {
        {"rope_freqs.weight", config_.rope_freqs},
        {"rope_factors_long.weight", config_.rope_factors_long},
        {"rope_factors_short.weight", config_.rope_factors_short}};
    for (const auto& [name, values] : computed) {
      if (values.empty()) continue;
      TensorView view;
      view.name = name;
      view.shape = {values.size()};
      out_.add_owned_tensor(std::move(view), bytes_of(values));
    }
  }

  void check_output() const {
    const bool own = out_.so_far().find("output.weight") != nullptr;
    if (!own && config_.tied_embeddings == false) {
      throw bad_file(folder_, "has no lm_head.weight, though tie_word_embeddings is false");
    }
  }

  [[noreturn]] void report_missing(const SafetensorsShards& shards) const {
    throw bad_file(folder_, "holds {} tensors, but model.safetensors.index.json names {}", seen_,
                   shards.file_of.size());
  }

  const std::string& folder_;
  const HfConfig& config_;
  CheckpointBuilder& out_;
  size_t seen_ = 0;  // tensors in the files, taken or not
};

}  // namespace

Metadata huggingface_metadata(const HuggingFaceTexts& texts, const std::string& folder,
                              uint64_t vocabulary) {
  const ParsedText config(texts.config, folder, "config.json", kConfigLimits);
  Metadata out(folder);
  const HfConfig read = read_hf_config(config.require(), out);
  const uint64_t rows = vocabulary != 0 ? vocabulary : read.vocabulary;
  read_vocabulary(texts, folder, config.require(), rows, out);
  const auto tokens = out.strings("tokenizer.ggml.tokens")->size();
  out.set(fmt::format("{}.vocab_size", read.arch), static_cast<int64_t>(tokens));
  return out;
}

Checkpoint open_huggingface_folder(const std::string& path) {
  const HuggingFaceTexts texts = read_texts(path);
  CheckpointBuilder builder(path, "safetensors folder");
  const ParsedText parsed(texts.config, path, "config.json", kConfigLimits);
  Metadata scratch(path);
  const HfConfig config = read_hf_config(parsed.require(), scratch);
  WeightsReader(path, config, builder).read();
  const uint64_t rows = builder.so_far().require("token_embd.weight").rows();
  builder.metadata() = huggingface_metadata(texts, path, rows);
  const std::filesystem::path folder(path);
  const auto name = folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  builder.metadata().set("general.name", name.string());
  return builder.finish();
}

}  // namespace fathom::file
