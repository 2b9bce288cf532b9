// fathom: the program. One file a command; this one only dispatches and reports errors.
#include <fathom/error.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/terminal.h"

namespace {

void print_error(const fathom::Error& error) {
  fmt::print(stderr, "error: {}\n", fathom::cli::printable(error.what()));
  if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", fathom::cli::printable(error.hint()));
}

int run(int argc, char** argv) {
  using namespace fathom::cli;
  CLI::App app{
      "Fathom reads long documents with a language model on an ordinary machine and answers "
      "questions about them."};
  app.set_version_flag("--version", "fathom " FATHOM_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  fathom demo                                  see it work\n"
      "  fathom run model.gguf -f book.txt -q \"Who is the narrator?\"\n"
      "  fathom chat model.gguf\n\n"
      "fathom COMMAND --help explains a command. Exit codes: 0 done, 1 internal failure, 2 usage,\n"
      "3 bad file, 4 not supported, 5 not enough memory, 6 longer than the context, 130 "
      "interrupted.");
  using Add = Runner (*)(CLI::App&);
  std::vector<std::pair<CLI::App*, Runner>> commands;
  for (const Add add :
       {add_run, add_chat, add_demo, add_inspect, add_tokenize, add_logits, add_template, add_synth,
        add_quantize, add_perplexity, add_policies, add_bench, add_eval, add_replay, add_profile,
        add_heads, add_calibrate, add_recommend}) {
    Runner runner = add(app);
    commands.emplace_back(app.get_subcommands({}).back(), std::move(runner));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : static_cast<int>(fathom::ErrorCode::kUsage);
  }
  catch_interrupts();
  for (const auto& [command, runner] : commands) {
    if (command->parsed()) return runner();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const fathom::Error& error) {
    print_error(error);
    return static_cast<int>(error.code());
  } catch (const std::filesystem::filesystem_error& error) {
    fmt::print(stderr, "error: {}: {}\n", error.path1().string(), error.code().message());
    return static_cast<int>(fathom::ErrorCode::kBadFile);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: there is not enough memory\n");
    return static_cast<int>(fathom::ErrorCode::kOutOfMemory);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return static_cast<int>(fathom::ErrorCode::kInternal);
  }
}
