// A command of the `fathom` program: one file each in this folder.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace fathom::cli {

// Adds the command with its options and help to `app` and returns what runs it; its int is the
// program's exit code. Errors are thrown as fathom::Error.
using Runner = std::function<int()>;

Runner add_run(CLI::App& app);
Runner add_chat(CLI::App& app);
Runner add_demo(CLI::App& app);
Runner add_inspect(CLI::App& app);
Runner add_tokenize(CLI::App& app);
Runner add_logits(CLI::App& app);
Runner add_template(CLI::App& app);
Runner add_synth(CLI::App& app);
Runner add_quantize(CLI::App& app);
Runner add_perplexity(CLI::App& app);
Runner add_policies(CLI::App& app);
Runner add_bench(CLI::App& app);
Runner add_replay(CLI::App& app);
Runner add_profile(CLI::App& app);
Runner add_heads(CLI::App& app);
Runner add_calibrate(CLI::App& app);
Runner add_recommend(CLI::App& app);
Runner add_eval(CLI::App& app);

}  // namespace fathom::cli
