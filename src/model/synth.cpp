#include "model/synth.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/error.h"
#include "file/gguf_writer.h"
#include "kernel/block_formats.h"

namespace fathom::model {
namespace {

constexpr SynthShape kShapes[] = {
    {"llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 64, 128256, 131072, 500000, true, true},
    {"llama-3.1-8b", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 500000, false, true},
    {"qwen3-0.6b", "qwen3", 28, 1024, 3072, 16, 8, 128, 151936, 40960, 1000000, true, false},
    {"tiny", "llama", 4, 256, 512, 8, 4, 32, 4096, 4096, 500000, true, false},
};

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Gaussian numbers by Box and Muller, a function of the key alone.
void fill_gaussian(uint64_t key, float deviation, std::span<float> out) {
  for (size_t i = 0; i < out.size(); i += 2) {
    const uint64_t bits = mix(key + i);
    const float u = (static_cast<float>(bits >> 40) + 1.0f) * 0x1p-24f;
    const float angle =
        static_cast<float>(bits & 0xffffff) * 0x1p-24f * 2 * std::numbers::pi_v<float>;
    const float radius = deviation * std::sqrt(-2.0f * std::log(u));
    out[i] = radius * std::cos(angle);
    if (i + 1 < out.size()) out[i + 1] = radius * std::sin(angle);
  }
}

struct Entry {
  std::string name;
  size_t rows, columns;
  bool norm = false;
};

std::vector<Entry> tensor_list(const SynthShape& s, size_t vocab) {
  std::vector<Entry> out = {{"token_embd.weight", vocab, s.dim},
                            {"output_norm.weight", 1, s.dim, true}};
  if (!s.tied) out.push_back({"output.weight", vocab, s.dim});
  const size_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
  for (size_t l = 0; l < s.layers; ++l) {
    const std::string p = fmt::format("blk.{}.", l);
    out.push_back({p + "attn_norm.weight", 1, s.dim, true});
    out.push_back({p + "attn_q.weight", q, s.dim});
    out.push_back({p + "attn_k.weight", kv, s.dim});
    out.push_back({p + "attn_v.weight", kv, s.dim});
    out.push_back({p + "attn_output.weight", s.dim, q});
    if (s.architecture == "qwen3") {
      out.push_back({p + "attn_q_norm.weight", 1, s.head_dim, true});
      out.push_back({p + "attn_k_norm.weight", 1, s.head_dim, true});
    }
    out.push_back({p + "ffn_norm.weight", 1, s.dim, true});
    out.push_back({p + "ffn_gate.weight", s.feed_forward, s.dim});
    out.push_back({p + "ffn_up.weight", s.feed_forward, s.dim});
    out.push_back({p + "ffn_down.weight", s.dim, s.feed_forward});
  }
  return out;
}

void set_shape(file::GgufWriter& out, const SynthShape& s) {
  const std::string a = std::string(s.architecture) + ".";
  const auto set = [&](const char* key, size_t n) { out.set(a + key, static_cast<int64_t>(n)); };
  out.set("general.architecture", std::string(s.architecture));
  out.set("general.name", "random weights, shape of " + std::string(s.name));
  set("block_count", s.layers);
  set("context_length", s.context);
  set("embedding_length", s.dim);
  set("feed_forward_length", s.feed_forward);
  set("attention.head_count", s.heads);
  set("attention.head_count_kv", s.kv_heads);
  set("attention.key_length", s.head_dim);
  set("attention.value_length", s.head_dim);
  set("rope.dimension_count", s.head_dim);
  out.set(a + "rope.freq_base", s.rope_base);
  out.set(a + "attention.layer_norm_rms_epsilon", 1e-5);
}

// The bytes, and unused tokens up to the vocabulary's size: any text can be read.
void set_byte_vocab(file::GgufWriter& out, size_t vocab) {
  file::Strings tokens;
  file::Integers kinds(vocab, 5);  // unused
  unsigned beyond = 256;
  for (unsigned b = 0; b < 256 && b < vocab; ++b) {
    const bool printable = (b > 32 && b < 127) || (b > 160 && b != 173);
    const unsigned code = printable ? b : beyond++;  // GPT-2's alphabet of bytes
    std::string utf8;
    if (code < 128) {
      utf8 = static_cast<char>(code);
    } else {
      utf8 = {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))};
    }
    tokens.push_back(utf8);
    kinds[b] = 1;
  }
  while (tokens.size() + 1 < vocab) tokens.push_back(fmt::format("<|unused_{}|>", tokens.size()));
  tokens.push_back("<|end|>");
  kinds[vocab - 1] = 3;  // control
  out.set("tokenizer.ggml.model", std::string("gpt2"));
  out.set("tokenizer.ggml.pre", std::string("default"));
  out.set("tokenizer.ggml.tokens", std::move(tokens));
  out.set("tokenizer.ggml.token_type", std::move(kinds));
  out.set("tokenizer.ggml.merges", file::Strings{"a b"});
  out.set("tokenizer.ggml.bos_token_id", static_cast<int64_t>(vocab - 1));
  out.set("tokenizer.ggml.eos_token_id", static_cast<int64_t>(vocab - 1));
  out.set("tokenizer.ggml.add_bos_token", false);
}

void copy_vocab(file::GgufWriter& out, const file::Checkpoint& from) {
  for (const auto& [key, value] : from.metadata().all()) {
    if (key.rfind("tokenizer.", 0) == 0) out.set(key, value);
  }
}

// Llama 3.1's division of the slow frequencies by 8 (rope_scaling of its config.json).
std::vector<float> llama3_factors(const SynthShape& s) {
  constexpr double kFactor = 8, kLow = 1, kHigh = 4, kContext = 8192;
  std::vector<float> out(s.head_dim / 2);
  for (size_t i = 0; i < out.size(); ++i) {
    const double wave =
        2 * std::numbers::pi *
        std::pow(s.rope_base, 2.0 * static_cast<double>(i) / static_cast<double>(s.head_dim));
    const double smooth = std::clamp((kContext / wave - kLow) / (kHigh - kLow), 0.0, 1.0);
    out[i] = static_cast<float>(1 / ((1 - smooth) / kFactor + smooth));
  }
  return out;
}

// Rows are made and encoded in parallel, some MiB at a time, and written in order.
void write_matrix(file::GgufWriter& out, const Entry& e, const SynthOptions& options, uint64_t key,
                  ThreadPool& pool) {
  const size_t row_bytes = info(options.type).row_bytes(e.columns);
  const size_t rows_a_turn = std::max<size_t>(1, (size_t{8} << 20) / row_bytes);
  const float deviation = 1.0f / std::sqrt(static_cast<float>(e.columns));
  std::vector<std::byte> bytes(rows_a_turn * row_bytes);
  std::vector<std::vector<float>> rows(static_cast<size_t>(pool.size()),
                                       std::vector<float>(e.columns));
  for (size_t first = 0; first < e.rows; first += rows_a_turn) {
    const size_t n = std::min(rows_a_turn, e.rows - first);
    pool.run(n, [&](size_t i, int worker) {
      std::vector<float>& row = rows[static_cast<size_t>(worker)];
      fill_gaussian(mix(key) + (first + i) * e.columns, deviation, row);
      kernel::quantize_row(options.type, row, bytes.data() + i * row_bytes);
    });
    out.write(std::span(bytes).first(n * row_bytes));
  }
}

}  // namespace

std::span<const SynthShape> synth_shapes() { return kShapes; }

const SynthShape* find_synth_shape(std::string_view name) {
  for (const SynthShape& s : kShapes) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

void write_synthetic_model(const std::string& path, const SynthShape& shape,
                           const SynthOptions& options, ThreadPool& pool,
                           const Progress& progress) {
  const TensorTypeInfo& type = info(options.type);
  for (const size_t columns : {shape.dim, shape.feed_forward, shape.heads * shape.head_dim}) {
    if (columns % type.block_values != 0) {
      throw unsupported("--type", "{} has rows of {}, which are no whole blocks of {}", shape.name,
                        columns, type.name);
    }
  }
  size_t vocab = shape.vocab;
  file::GgufWriter out(path);
  set_shape(out, shape);
  if (options.vocab) {
    copy_vocab(out, *options.vocab);
    const file::Strings* tokens = options.vocab->metadata().strings("tokenizer.ggml.tokens");
    if (!tokens) throw bad_file(options.vocab->path(), "has no vocabulary");
    vocab = tokens->size();
  } else {
    set_byte_vocab(out, vocab);
  }
  const std::vector<Entry> entries = tensor_list(shape, vocab);
  size_t total = 0, done = 0;
  for (const Entry& e : entries) {
    out.add_tensor(
        e.name, e.norm ? TensorType::kF32 : options.type,
        e.rows == 1 ? std::vector<uint64_t>{e.columns} : std::vector<uint64_t>{e.columns, e.rows});
    total += e.rows * e.columns;
  }
  const std::vector<float> factors = llama3_factors(shape);
  if (shape.llama3_rope) out.add_tensor("rope_freqs.weight", TensorType::kF32, {factors.size()});
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& e = entries[i];
    if (e.norm) {
      const std::vector<float> ones(e.columns, 1.0f);
      out.write(std::as_bytes(std::span(ones)));
    } else {
      write_matrix(out, e, options, options.seed * 1000003 + i, pool);
    }
    done += e.rows * e.columns;
    if (!report(progress, {"writing", done, total, "weights"})) {
      throw Error(ErrorCode::kInternal, path, "writing was stopped");
    }
  }
  if (shape.llama3_rope) out.write(std::as_bytes(std::span(factors)));
  out.finish();
}

}  // namespace fathom::model
