// fathom eval --generate: instances as JSON lines.
#include <algorithm>
#include <charconv>
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "cli/eval.h"
#include "cli/terminal.h"
#include "engine/load_vocab.h"
#include "engine/text_file.h"
#include "eval/library.h"
#include "eval/score/text.h"
#include "eval/task/task.h"
#include "file/atomic_file.h"
#include "file/checkpoint.h"
#include "text/tokenizer.h"

namespace fathom::cli {
namespace {

constexpr size_t kLongest = size_t{16} << 20;  // tokens of an instance

size_t parse_length(std::string_view text) {
  size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const bool thousands = rest + 1 == end && (*rest == 'k' || *rest == 'K');
  if (error != std::errc() || (rest != end && !thousands) || value == 0 || value > kLongest ||
      (thousands && value > kLongest / 1024)) {
    throw with_hint(usage_error("--lengths", "'{}' is no length in tokens", text),
                    "for example --lengths 1k,4k,16k; k is 1024 tokens");
  }
  return thousands ? value * 1024 : value;
}

// All instances of the tasks and lengths; says which tasks do not fit.
class Generation {
 public:
  Generation(const EvalArgs& args, std::string tasks, const eval::Meter& meter)
      : args_(args), tasks_(std::move(tasks)), meter_(meter), library_(eval_library(args)) {}

  std::vector<eval::Instance> run() {
    const auto tasks = eval::choose_tasks(tasks_);
    const std::vector<size_t> lengths = parse_lengths(args_.lengths);
    std::vector<eval::Instance> out;
    size_t done = 0;
    for (const eval::TaskInfo* task : tasks) {
      for (const size_t length : lengths) {
        if (!add_all(*task, length, out)) return {};
        report(std::ref(progress_), {"generating", ++done, tasks.size() * lengths.size(), "sets"});
      }
    }
    progress_.clear();
    for (const std::string& s : left_out_) fmt::print(stderr, "left out: {}\n", s);
    if (out.empty()) throw usage_error("--suite", "nothing is left of '{}'", tasks_);
    return out;
  }

 private:
  size_t count(const eval::TaskInfo& task) const {
    if (args_.instances > 0) return args_.instances;
    return task.name == "needle" ? 55 : 10;
  }

  // False once the user interrupts.
  bool add_all(const eval::TaskInfo& task, size_t length, std::vector<eval::Instance>& out) {
    eval::Draw draw;
    draw.task = &task;
    draw.library = &library_;
    draw.meter = &meter_;
    draw.seed = args_.seed;
    draw.length = length;
    draw.instances = count(task);
    draw.turns = args_.turns;
    draw.own_answers = args_.answers == "own";
    try {
      for (draw.index = 0; draw.index < draw.instances; ++draw.index) {
        if (interrupted()) return false;
        out.push_back(eval::make_instance(draw));
      }
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kTooLong && e.code() != ErrorCode::kUnsupported) throw;
      left_out_.push_back(
          fmt::format("{}/{} at {} tokens: {}", task.suite, task.name, grouped(length), e.what()));
    }
    return true;
  }

  const EvalArgs& args_;
  std::string tasks_;
  const eval::Meter& meter_;
  eval::Library library_;
  ProgressLine progress_;
  std::vector<std::string> left_out_;
};

void write(const std::string& path, const std::string& lines) {
  if (path.empty() || path == "-") return print_now(lines);
  file::AtomicFile file(path);
  file.write(lines);
  file.commit();
}

std::string generated_tasks(const std::string& suite) {
  const SuiteChoice choice = parse_suite(suite);
  if (choice.tasks.empty()) {
    throw with_hint(usage_error("--suite", "'{}' has no tasks to generate", suite),
                    "`fathom eval --list` shows all");
  }
  return choice.tasks;
}

}  // namespace

std::vector<size_t> parse_lengths(const std::string& text) {
  std::vector<size_t> out;
  for (const std::string_view part : eval::split(text, ", ")) out.push_back(parse_length(part));
  if (out.empty()) parse_length(text);
  return out;
}

std::vector<eval::Instance> eval_instances(const EvalArgs& args, const std::string& tasks,
                                           const text::Tokenizer& tokenizer, size_t frame_tokens) {
  if (!args.data.empty()) {
    return eval::parse_instances(engine::read_text_file(args.data), args.data,
                                 eval::parse_layout(args.layout), args.task);
  }
  const eval::Meter meter{[&](std::string_view text) { return tokenizer.encode(text).size(); },
                          frame_tokens};
  return Generation(args, tasks, meter).run();
}

int eval_generate(const EvalArgs& args) {
  const eval::Layout layout = eval::parse_layout(args.layout);
  const auto checkpoint = file::Checkpoint::open(args.model.path());
  const auto tokenizer = text::Tokenizer::create(engine::load_vocab(checkpoint.metadata()));
  const std::vector<eval::Instance> instances =
      eval_instances(args, generated_tasks(args.suite), *tokenizer, 0);
  if (interrupted()) return 130;
  std::string lines;
  size_t questions = 0;
  for (const eval::Instance& i : instances) {
    lines += eval::instance_line(i, layout);
    questions += i.turns.size();
  }
  write(args.output, lines);
  if (!args.output.empty() && args.output != "-") {
    if (args.json) {
      print_json({{"file", args.output}, {"sessions", instances.size()}, {"questions", questions}});
    } else {
      print_now(fmt::format("{} sessions with {} questions in {}\n", instances.size(), questions,
                            args.output));
    }
  }
  return 0;
}

int eval_list(const EvalArgs& args) {
  Json all = Json::array();
  std::string out;
  for (const eval::TaskInfo& t : eval::all_tasks()) {
    all.push_back({{"suite", std::string(t.suite)},
                   {"task", std::string(t.name)},
                   {"capability", std::string(eval::capability_name(t.capability))},
                   {"answer_tokens", t.max_new},
                   {"summary", std::string(t.summary)}});
    out += fmt::format("{:<22} {:<9} {:>5}  {}\n", fmt::format("{}/{}", t.suite, t.name),
                       eval::capability_name(t.capability), t.max_new, t.summary);
  }
  if (args.json) {
    print_json(all);
  } else {
    print_now(fmt::format("{:<22} {:<9} {:>5}  {}\n", "task", "kind", "out", "what it asks") + out);
  }
  return 0;
}

}  // namespace fathom::cli
