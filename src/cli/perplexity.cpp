// fathom perplexity: how well a model predicts a text.
#include <memory>

#include "base/error.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/text_file.h"
#include "eval/perplexity.h"

namespace fathom::cli {
namespace {

struct PerplexityArgs {
  ModelArgs model;
  std::string file;
  size_t chunk = 2048, characters = 0, segment = 10000;
  bool json = false, stream = false;
};

// The first n bytes, not cutting a character.
std::string beginning(std::string text, size_t n) {
  if (n == 0 || text.size() <= n) return text;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xc0) == 0x80) --n;
  text.resize(n);
  return text;
}

Json stream_json(const std::vector<eval::StreamSegment>& segments) {
  Json out = Json::array();
  size_t begin = 0;
  for (const eval::StreamSegment& s : segments) {
    out.push_back({{"end", s.end},
                   {"perplexity", s.perplexity},
                   {"seconds_per_token", s.seconds / double(s.end - begin)},
                   {"kv_bytes", s.kv_bytes},
                   {"resident_bytes", s.resident_bytes}});
    begin = s.end;
  }
  return out;
}

std::string stream_text(const std::vector<eval::StreamSegment>& segments) {
  std::string out = fmt::format("{:>12} {:>11} {:>12} {:>12} {:>12}\n", "tokens", "perplexity",
                                "us a token", "cache", "resident");
  size_t begin = 0;
  for (const eval::StreamSegment& s : segments) {
    out += fmt::format("{:>12} {:>11.4f} {:>12.1f} {:>12} {:>12}\n", grouped(s.end), s.perplexity,
                       1e6 * s.seconds / double(s.end - begin), human_bytes(double(s.kv_bytes)),
                       human_bytes(double(s.resident_bytes)));
    begin = s.end;
  }
  return out;
}

void print_chunks(const PerplexityArgs& args, const Json& common, const eval::Perplexity& p) {
  if (args.json) {
    Json out = {{"perplexity", p.value},
                {"standard_error", p.standard_error},
                {"scored_tokens", p.scored},
                {"chunks", p.chunks},
                {"chunk_tokens", args.chunk}};
    out.update(common);
    print_json(out);
  } else {
    print_now(fmt::format("perplexity {:.4f} +- {:.4f} over {} tokens in {} chunks of {}\n",
                          p.value, p.standard_error, grouped(p.scored), p.chunks, args.chunk));
  }
}

int measure(const PerplexityArgs& args) {
  ModelOptions options = args.model.options();
  ProgressLine progress;
  options.progress = std::ref(progress);
  const std::string text = beginning(engine::read_text_file(args.file), args.characters);
  const auto engine = engine::Engine::load(args.model.path(), options);
  const auto tokens = engine->tokenizer().encode(text);
  Json common = {
      {"bytes", text.size()}, {"tokens", tokens.size()}, {"kv", engine->runner().policy().line}};
  if (!args.stream) {
    const eval::Perplexity p = eval::perplexity(*engine, tokens, args.chunk, std::ref(progress));
    progress.clear();
    print_chunks(args, common, p);
    return interrupted() ? 130 : 0;
  }
  const auto segments = eval::stream_perplexity(*engine, tokens, args.segment, std::ref(progress));
  progress.clear();
  if (args.json) {
    common["step_tokens"] = engine->runner().options().batch_tokens;
    common["segments"] = stream_json(segments);
    print_json(common);
  } else {
    print_now(stream_text(segments));
  }
  return interrupted() ? 130 : 0;
}

}  // namespace

Runner add_perplexity(CLI::App& app) {
  auto args = std::make_shared<PerplexityArgs>();
  CLI::App* c = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  args->model.add_to(*c);
  c->add_option("-f,--file", args->file, "The text; - is standard input")->required();
  c->add_option("--chunk", args->chunk, "Tokens of a chunk; its second half is scored")
      ->capture_default_str();
  c->add_option("--characters", args->characters, "Only the first N bytes; 0: all")
      ->capture_default_str();
  c->add_flag("--stream", args->stream,
              "Read the whole text as one sequence instead, in steps of -b tokens, and show how "
              "perplexity, time and memory go on");
  c->add_option("--segment", args->segment, "With --stream: tokens of a line of the table")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "Cut and scored as llama-perplexity does, so figures compare.\n"
      "Examples:\n  fathom perplexity -f book.txt --characters 50000\n"
      "  fathom perplexity -f book.txt --stream -b 64 -c 1000000 \\\n"
      "      --kv \"keep=streaming(sinks=4,recent=2044,positions=slots)\"");
  return [args] { return measure(*args); };
}

}  // namespace fathom::cli
