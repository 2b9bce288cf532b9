#include "kv/registry.h"

#include "kv/fetch/emllm.h"
#include "kv/fetch/index.h"
#include "kv/fetch/infllm.h"
#include "kv/fetch/longheads.h"
#include "kv/fetch/lserve.h"
#include "kv/fetch/quest.h"
#include "kv/fetch/recycled.h"
#include "kv/fetch/sentence.h"
#include "kv/keep/adakv.h"
#include "kv/keep/duo.h"
#include "kv/keep/expected_attention.h"
#include "kv/keep/h2o.h"
#include "kv/keep/key_diff.h"
#include "kv/keep/key_norm.h"
#include "kv/keep/merging.h"
#include "kv/keep/pyramid.h"
#include "kv/keep/razor.h"
#include "kv/keep/scissorhands.h"
#include "kv/keep/sirllm.h"
#include "kv/keep/snapkv.h"
#include "kv/keep/streaming.h"
#include "kv/keep/tova.h"
#include "kv/prefill/a_shape.h"
#include "kv/prefill/anchor.h"
#include "kv/prefill/flexprefill.h"
#include "kv/prefill/hip.h"
#include "kv/prefill/hyper.h"
#include "kv/prefill/lserve.h"
#include "kv/prefill/minference.h"
#include "kv/prefill/tri_shape.h"
#include "kv/prefill/xattention.h"
#include "kv/prefill/zipvl.h"
#include "kv/store/coded.h"
#include "kv/store/plain.h"
#include "kv/store/think.h"
#include "kv/store/zipvl.h"

namespace fathom::kv {
namespace {

using kernel::KvFormat;

CodedFormat all_plain(KvFormat format) {
  return {make_plain_codec(format)->name(), format, format, format};
}
template <KvFormat format>
CodedFormat plain(const Parameters&, KvFormat) {
  return all_plain(format);
}
CodedFormat native_format(const Parameters&, KvFormat native) { return all_plain(native); }

constexpr ParameterInfo kTail[] = {
    {"tail", "64", "", 0, 1e6, "newest tokens that stay in full precision, in whole pages"},
};
template <KvFormat keys, KvFormat values>
CodedFormat coded(const Parameters& p, KvFormat native) {
  return {p.line(), keys, values, native, p.count("tail")};
}
template <KvFormat values>
CodedFormat coded_values(const Parameters& p, KvFormat native) {
  return {p.line(), native, values, native, p.count("tail")};
}

constexpr ParameterInfo kBasis[] = {
    kTail[0],
    {"basis", "model", "model|hadamard", 0, 0,
     "hadamard: channels are mixed first, so that none sticks out"},
};
template <KvFormat format>
CodedFormat levels(const Parameters& p, KvFormat native) {
  CodedFormat f{p.line(), format, format, native, p.count("tail")};
  if (p.text("basis") == "hadamard") f.key_frame = f.value_frame = hadamard_frame();
  return f;
}

constexpr std::string_view kClipHelp = "share of a token's range that the codes cover";
constexpr ParameterInfo kRotate4[] = {kTail[0], {"clip", "1", "", 0.1, 1, kClipHelp}};
constexpr ParameterInfo kRotate2[] = {kTail[0], {"clip", "0.8", "", 0.1, 1, kClipHelp}};
template <KvFormat format>
CodedFormat rotated(const Parameters& p, KvFormat native) {
  CodedFormat f{p.line(), format, format, native, p.count("tail")};
  f.key_clip = f.value_clip = static_cast<float>(p.number("clip"));
  f.key_frame = f.value_frame = hadamard_frame();
  return f;
}

constexpr ParameterInfo kSort[] = {
    kTail[0],
    {"sort", "weights", "weights|none", 0, 0, "what key channels are ordered by"},
};
CodedFormat sorted_blocks(const Parameters& p, KvFormat native) {
  CodedFormat f{p.line(), KvFormat::kBfp4, KvFormat::kBfp4, native, p.count("tail")};
  f.sort_keys = p.text("sort") == "weights";
  return f;
}

constexpr ParameterInfo kZipVlStore[] = {
    kTail[0],
    {"mass", "0.975", "", 0, 1, "share of a head's attention that pages in `high` hold"},
    {"high", "k4v4", "q8|k8v4|k4v4|nf4", 0, 0, "store of important pages"},
    {"low", "k2v2", "k4v4|k4v2|k2v2|nf4", 0, 0, "store of the others"},
    {"window", "64", "", 1, 4096, "last queries whose attention counts"},
    {"every", "128", "", 1, 1e9, "generated tokens after which new pages are looked at"},
};
CodedFormat zipvl_store(const Parameters& p, KvFormat native) {
  const auto codec = [&](const char* which) {
    const Method* method = find_method(Stage::kStore, p.text(which));
    return make_coded_codec(method->store(Parameters(method->info, {}, "--kv"), native));
  };
  CodedFormat f = all_plain(native);
  f.name = p.line();
  f.tail = p.count("tail");
  f.chooser = make_zipvl_store(
      {p.number("mass"), p.count("window"), p.count("every"), codec("high"), codec("low")});
  return f;
}

constexpr ParameterInfo kThink[] = {
    kTail[0],
    {"share", "0.4", "", 0, 0.95, "of a head's key channels that are left out"},
    {"window", "32", "", 1, 4096, "last queries that choose"},
};
CodedFormat think_store(const Parameters& p, KvFormat native) {
  CodedFormat f = all_plain(native);
  f.name = p.line();
  f.tail = p.count("tail");
  f.chooser = make_think_store({p.number("share"), p.count("window"), native});
  return f;
}
template <class Policy>
std::unique_ptr<const Policy> nothing(const Parameters&) {
  return nullptr;
}

GemFilter gemfilter(const Parameters& p) {
  GemFilter filter = make_gemfilter(p);
  const Method* reader = find_method(Stage::kPrefill, p.text("reader"));
  filter.reader = reader->prefill(Parameters(reader->info, {}, "--kv"));
  return filter;
}

Method prefill(MethodInfo info, decltype(Method::prefill) make) {
  info.stage = Stage::kPrefill;
  return {.info = info, .prefill = make};
}
Method prompt_filter(MethodInfo info, decltype(Method::filter) make) {
  info.stage = Stage::kPrefill;
  return {.info = info, .filter = make};
}
Method keep(MethodInfo info, decltype(Method::keep) make) {
  info.stage = Stage::kKeep;
  return {.info = info, .keep = make};
}
Method store(MethodInfo info, decltype(Method::store) make) {
  info.stage = Stage::kStore;
  return {.info = info, .store = make};
}
Method fetch(MethodInfo info, decltype(Method::fetch) make) {
  info.stage = Stage::kFetch;
  return {.info = info, .fetch = make};
}

MethodInfo simple(std::string_view name, std::string_view summary) {
  MethodInfo info;
  info.name = name;
  info.summary = summary;
  return info;
}

constexpr std::string_view kKivi =
    "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache (2024), arXiv:2402.02750";

MethodInfo with_tail(std::string_view name, std::string_view summary, std::string_view paper) {
  MethodInfo info = simple(name, summary);
  info.paper = paper;
  info.parameters = kTail;
  info.cost = "encoding a page once when it is full; decoding it whenever it is read";
  return info;
}

MethodInfo with(MethodInfo info, std::span<const ParameterInfo> parameters) {
  info.parameters = parameters;
  return info;
}

MethodInfo zipvl_store_info() {
  MethodInfo info = simple("zipvl",
                           "pages that attention goes to in more bits than the others, chosen for "
                           "each head when a prompt is read");
  info.paper =
      "ZipVL: Efficient Large Vision-Language Models with Dynamic Token Sparsification (2024), "
      "arXiv:2410.08584";
  info.parameters = kZipVlStore;
  info.cost =
      "a choice: the attention of `window` queries to all keys; until the first the prompt is "
      "plain";
  return info;
}

MethodInfo think_info() {
  MethodInfo info = simple("think",
                           "auto, without the key channels that the prompt's last queries need "
                           "least; chosen for each head when a prompt is read");
  info.paper = "ThinK: Thinner Key Cache by Query-Driven Pruning (2024), arXiv:2407.21018";
  info.parameters = kThink;
  info.cost = "a choice: the squares of all keys; until then the prompt is plain";
  return info;
}

constexpr std::string_view kRotateKv =
    "RotateKV: Accurate and Robust 2-Bit KV Cache Quantization for LLMs via Outlier-Aware Adaptive "
    "Rotations (2025), arXiv:2501.16383";

}  // namespace

std::span<const Method> all_methods() {
  // The first of a stage is its default.
  static const Method methods[] = {
      prefill(simple("dense", "every query attends to every key before it; exact"), nothing),
      prefill(a_shape_info(), make_a_shape),
      prefill(tri_shape_info(), make_tri_shape),
      prefill(xattention_info(), make_xattention),
      prefill(minference_info(), [](const Parameters& p) { return make_minference(p); }),
      prefill(flexprefill_info(), make_flexprefill),
      prefill(anchor_info(), make_anchor),
      prefill(hip_info(), make_hip),
      prefill(hyper_info(), make_hyper),
      prefill(lserve_info(), make_lserve),
      prefill(zipvl_info(), make_zipvl),
      prompt_filter(gemfilter_info(), gemfilter),
      keep(simple("all", "every token stays; exact"), nothing),
      keep(streaming_info(), make_streaming),
      keep(snapkv_info(), make_snapkv),
      keep(expected_attention_info(), make_expected_attention),
      keep(h2o_info(), make_h2o),
      keep(scissorhands_info(), make_scissorhands),
      keep(tova_info(), make_tova),
      keep(key_norm_info(), make_key_norm),
      keep(key_diff_info(), make_key_diff),
      keep(sirllm_info(), make_sirllm),
      keep(adakv_info(), make_adakv),
      keep(pyramid_info(), make_pyramid),
      keep(merging_info(), make_merging),
      keep(duo_info(), make_duo),
      keep(razor_info(), make_razor),
      store(simple("auto", "bf16 where the processor multiplies it natively, else f16"),
            native_format),
      store(simple("f32", "32-bit floats; for tests and for judging other formats"),
            plain<KvFormat::kF32>),
      store(simple("f16", "16-bit floats, relative error 2^-11"), plain<KvFormat::kF16>),
      store(simple("bf16", "16-bit floats with the range of f32, relative error 2^-8"),
            plain<KvFormat::kBF16>),
      store(with_tail("q8", "8 bits, a scale for 32 channels of a token; 8.5 bits a number", ""),
            coded<KvFormat::kQ8, KvFormat::kQ8>),
      store(with_tail("k16v8", "keys as auto, values as q8's; 12.25 bits a number", ""),
            coded_values<KvFormat::kQ8>),
      store(with_tail("k16v4", "keys as auto, values as k4v4's; 10.5 bits a number", kKivi),
            coded_values<KvFormat::kQ4>),
      store(with_tail("k8v4", "keys as q8, values as k4v4's; 6.75 bits a number", kKivi),
            coded<KvFormat::kQ8, KvFormat::kQ4>),
      store(with_tail("k8v2", "keys as q8, values as k2v2's; 5.75 bits a number", kKivi),
            coded<KvFormat::kQ8, KvFormat::kQ2>),
      store(with_tail("k4v4", "4 bits, keys by channel, values by token; 5 bits a number", kKivi),
            coded<KvFormat::kQ4, KvFormat::kQ4>),
      store(with_tail("k4v2", "keys in 4 bits, values in 2; 4 bits a number", kKivi),
            coded<KvFormat::kQ4, KvFormat::kQ2>),
      store(with_tail("k2v2", "2 bits, keys by channel, values by token; 3 bits a number", kKivi),
            coded<KvFormat::kQ2, KvFormat::kQ2>),
      store(with(with_tail("rotate4",
                           "4 bits after a Hadamard rotation of each head; 4 + 32/head size bits",
                           kRotateKv),
                 kRotate4),
            rotated<KvFormat::kT4>),
      store(with(with_tail("rotate2",
                           "2 bits after a Hadamard rotation of each head; 2 + 32/head size bits",
                           kRotateKv),
                 kRotate2),
            rotated<KvFormat::kT2>),
      store(
          with(with_tail("nf4",
                         "4 bits on a normal distribution's quantiles, keys by channel, values by "
                         "token; 4.25 bits a number",
                         "QLoRA: Efficient Finetuning of Quantized LLMs (2023), arXiv:2305.14314"),
               kBasis),
          levels<KvFormat::kNf4>),
      store(with(with_tail(
                     "fp4",
                     "4-bit floats (E2M1), keys by channel, values by token; 4.25 bits a number",
                     "LLM-FP4: 4-Bit Floating-Point Quantized Transformers (2023), "
                     "arXiv:2310.16836"),
                 kBasis),
            levels<KvFormat::kFp4>),
      store(with(with_tail("ksort",
                           "key channels in order of their size, blocks of 32 with one exponent; "
                           "4.25 bits a number",
                           "Accurate Block Quantization in LLMs with Outliers (2024), "
                           "arXiv:2403.20137"),
                 kSort),
            sorted_blocks),
      store(zipvl_store_info(), zipvl_store),
      store(think_info(), think_store),
      fetch(simple("all", "every query reads every kept page; exact"), nothing),
      fetch(quest_info(), make_quest),
      fetch(lserve_fetch_info(), make_lserve_fetch),
      fetch(infllm_info(), make_infllm),
      fetch(emllm_info(), make_emllm),
      fetch(longheads_info(), make_longheads),
      fetch(sentence_info(), make_sentence),
      fetch(recycled_info(), make_recycled),
      fetch(index_info(), make_index_fetch),
  };
  return methods;
}

const Method* find_method(Stage stage, std::string_view name) {
  for (const Method& m : all_methods()) {
    if (m.info.stage == stage && m.info.name == name) return &m;
  }
  return nullptr;
}

}  // namespace fathom::kv
