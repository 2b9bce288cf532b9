// fathom tokenize: text to token ids and back.
#include <charconv>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "engine/load_vocab.h"
#include "engine/text_file.h"
#include "file/checkpoint.h"
#include "text/tokenizer.h"

namespace fathom::cli {
namespace {

struct TokenizeArgs {
  std::string model, prompt, file;
  bool ids = false, pieces = false, decode = false, no_bos = false, special = false, json = false;
};

// Token ids as people write them: separated by commas or spaces, in brackets or not.
std::vector<text::TokenId> parse_ids(const std::string& text) {
  std::vector<text::TokenId> out;
  const char* end = text.data() + text.size();
  for (const char* p = text.data(); p != end;) {
    if (std::string_view(" ,[]\n\t\r").find(*p) != std::string_view::npos) {
      ++p;
      continue;
    }
    text::TokenId id = 0;
    const auto [rest, error] = std::from_chars(p, end, id);
    if (error != std::errc())
      throw usage_error("--decode", "'{}' is not a token id", std::string(p, end).substr(0, 20));
    out.push_back(id);
    p = rest;
  }
  return out;
}

void print_decoded(const TokenizeArgs& args, const text::Tokenizer& tokenizer,
                   const std::string& input) {
  const std::vector<text::TokenId> ids = parse_ids(input);
  for (const text::TokenId id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= tokenizer.size()) {
      throw usage_error("--decode", "{} is not a token of this model ({} in all)", id,
                        tokenizer.size());
    }
  }
  const std::string text = tokenizer.decode(ids);
  if (args.json) return print_json({{"tokens", ids}, {"text", text}});
  print_now(text);
  if (stdout_is_terminal()) print_now("\n");
}

int tokenize(const TokenizeArgs& args) {
  const std::string path = model_path(args.model);
  const auto checkpoint = file::Checkpoint::open(path);
  const auto tokenizer = text::Tokenizer::create(engine::load_vocab(checkpoint.metadata()));
  const bool from_prompt = !args.prompt.empty();
  const std::string input =
      from_prompt ? args.prompt : engine::read_text_file(args.file.empty() ? "-" : args.file);
  if (args.decode) {
    print_decoded(args, *tokenizer, input);
    return 0;
  }
  text::EncodeOptions options;
  if (args.no_bos) options.add = text::AddSpecial::kNever;
  if (args.special) options.special = text::SpecialTokens::kParse;
  const std::vector<text::TokenId> ids = tokenizer->encode(input, options);
  if (args.json) {
    Json tokens = Json::array();
    for (const text::TokenId id : ids) {
      tokens.push_back(
          {{"id", id}, {"piece", tokenizer->piece(id, text::Tokenizer::ControlTokens::kShow)}});
    }
    print_json({{"count", ids.size()}, {"tokens", std::move(tokens)}});
    return 0;
  }
  std::string out;
  for (const text::TokenId id : ids) {
    const std::string piece = tokenizer->piece(id, text::Tokenizer::ControlTokens::kShow);
    if (args.pieces && !args.ids) {
      out += Json(piece).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    } else if (args.pieces) {
      out += fmt::format("{:>8}  {}\n", id,
                         Json(piece).dump(-1, ' ', false, Json::error_handler_t::replace));
    } else {
      out += fmt::format("{}{}", out.empty() ? "" : " ", id);
    }
  }
  print_now(args.pieces ? out : out + "\n");
  return 0;
}

}  // namespace

Runner add_tokenize(CLI::App& app) {
  auto args = std::make_shared<TokenizeArgs>();
  CLI::App* c = app.add_subcommand("tokenize", "Show how a model's tokenizer sees a text");
  add_model_argument(*c, args->model);
  c->add_option("-p,--prompt", args->prompt, "The text, or with --decode the ids");
  c->add_option("-f,--file", args->file, "Read it from this file (default: standard input)");
  c->add_flag("--ids", args->ids, "Print ids (the default); with --pieces both, one a line");
  c->add_flag("--pieces", args->pieces, "Print the text of each token");
  c->add_flag("--decode", args->decode, "Turn ids into text");
  c->add_flag("--no-bos", args->no_bos, "Do not add the tokens that begin and end a text");
  c->add_flag("--parse-special", args->special, "Read control tokens spelled in the text as such");
  c->add_flag("--json", args->json, "Print JSON");
  c->footer(
      "Examples:\n"
      "  fathom tokenize -p \"Hello world\" --ids --pieces\n"
      "  fathom tokenize model.gguf -f book.txt --json | jq .count\n"
      "  fathom tokenize -p \"40 51 62\" --decode");
  return [args] { return tokenize(*args); };
}

}  // namespace fathom::cli
