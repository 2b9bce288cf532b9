#include "eval/run.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "eval/score/scorer.h"
#include "eval/score/text.h"

namespace fathom::eval {
namespace {

using engine::Engine;
using engine::Message;
using engine::Session;
using engine::TokenId;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string document_of(const Instance& instance) {
  if (instance.instruction.empty()) return instance.context;
  return instance.instruction + "\n\n" + instance.context;
}

// The gold answer as a conversation goes on with it.
std::string gold_answer(const Instance& instance, size_t turn) {
  const Turn& t = instance.turns[turn];
  const bool all = scorer_of(instance.suite, instance.task_of(t)).name == "recall_ci";
  std::string out = t.answer_prefix.empty() ? "" : t.answer_prefix + " ";
  for (size_t i = 0; i < (all ? t.answers.size() : 1); ++i) {
    out += (i == 0 ? "" : ", ") + t.answers[i];
  }
  return out;
}

std::vector<TokenId> chat_prompt(const Engine& engine, const Instance& instance, size_t turn,
                                 AskMode mode) {
  const size_t first = mode == AskMode::kMultiTurn ? 0 : turn;
  std::vector<Message> messages =
      engine::question_messages(engine, document_of(instance), instance.turns[first].input);
  for (size_t t = first; t < turn; ++t) {
    messages.push_back({"assistant", gold_answer(instance, t)});
    messages.push_back({"user", instance.turns[t + 1].input});
  }
  std::vector<TokenId> tokens = engine::encode_conversation(engine, messages);
  const std::string& lead_in = instance.turns[turn].answer_prefix;
  if (lead_in.empty()) return tokens;
  text::EncodeOptions options;
  options.add = text::AddSpecial::kNever;
  const auto more = engine.tokenizer().encode(lead_in, options);
  tokens.insert(tokens.end(), more.begin(), more.end());
  return tokens;
}

std::vector<TokenId> plain_prompt(const Engine& engine, const Instance& instance, size_t turn,
                                  AskMode mode) {
  const size_t first = mode == AskMode::kMultiTurn ? 0 : turn;
  std::string text = document_of(instance);
  for (size_t t = first; t <= turn; ++t) {
    const std::string& input = instance.turns[t].input;
    if (!input.empty()) text += "\n\n" + input;
    const std::string answer =
        t < turn ? gold_answer(instance, t) : instance.turns[t].answer_prefix;
    if (!answer.empty()) text += "\n" + answer;
  }
  return engine.tokenizer().encode(text);
}

// The prompts' common beginning, before anything of a question: a last prompt asks another.
size_t blind_prefix(const Engine& engine, const Instance& instance,
                    std::vector<std::vector<TokenId>> prompts) {
  Instance other = instance;
  other.turns.resize(1);
  other.turns[0].input = other.turns[0].input.starts_with("?") ? "!" : "?";
  prompts.push_back(question_prompt(engine, other, 0, AskMode::kSingle));
  return engine::common_prefix(prompts);
}

class InstanceRun {
 public:
  InstanceRun(const std::shared_ptr<Engine>& engine, const Instance& instance, AskMode mode,
              const Progress& progress)
      : engine_(engine), instance_(instance), mode_(mode), progress_(progress) {}

  std::vector<QueryResult> run() {
    for (size_t t = 0; t < instance_.turns.size(); ++t) {
      prompts_.push_back(question_prompt(*engine_, instance_, t, mode_));
    }
    if (mode_ == AskMode::kMultiRequest) {
      requests();
    } else {
      turns();
    }
    return std::move(results_);
  }

 private:
  void requests() {
    Session shared(engine_);
    const size_t prefix = blind_prefix(*engine_, instance_, prompts_);
    const auto start = Clock::now();
    if (!shared.feed(std::span(prompts_[0]).first(prefix), progress_)) return;
    const double seconds = seconds_since(start);
    for (size_t t = 0; t < prompts_.size() && going(); ++t) {
      Session fork = shared.fork();
      const auto asked = Clock::now();
      fork.feed(std::span(prompts_[t]).subspan(prefix));
      QueryResult& r = answer(fork, t, asked);
      r.read_tokens = prompts_[t].size() - prefix + (t == 0 ? prefix : 0);
      r.read_seconds = read_seconds_ + (t == 0 ? seconds : 0);
    }
  }

  // One session that grows, or one for each question.
  void turns() {
    Session session(engine_);
    for (size_t t = 0; t < prompts_.size() && going(); ++t) {
      if (mode_ == AskMode::kSingle) session = Session(engine_);
      const size_t known =
          engine::common_prefix(std::vector<std::vector<TokenId>>{session.tokens(), prompts_[t]});
      const auto asked = Clock::now();
      if (!session.rewrite(prompts_[t], progress_)) return;
      Session fork = session.fork();  // what is generated is dropped with it
      QueryResult& r = answer(fork, t, asked);
      r.read_tokens = prompts_[t].size() - known;
      r.read_seconds = read_seconds_;
    }
  }

  QueryResult& answer(Session& session, size_t turn, Clock::time_point asked) {
    read_seconds_ = seconds_since(asked);
    GenerateOptions options;
    options.max_tokens = static_cast<int>(instance_.turns[turn].max_new);
    if (options.max_tokens == 0) options.max_tokens = 128;
    if (!engine_->chat_template()) options.stop = {"\n\n"};
    const Reply reply = session.generate(options, [&](std::string_view) { return going(); });
    QueryResult& r = results_.emplace_back();
    r.output = reply.text;
    r.score = score_output(instance_, turn, r.output);
    // What was fed to this very session is in both.
    r.first_token_seconds =
        read_seconds_ + reply.price.time_to_first_token - reply.price.prompt_seconds;
    r.output_tokens = reply.tokens.size();
    r.decode_seconds = reply.price.generate_seconds;
    r.kv_bytes = reply.price.kv_bytes;
    r.cut = reply.reason == StopReason::kMaxTokens;
    return r;
  }

  bool going() const {
    return !progress_ || progress_({"answering", results_.size(), prompts_.size(), "questions"});
  }

  const std::shared_ptr<Engine>& engine_;
  const Instance& instance_;
  AskMode mode_;
  const Progress& progress_;
  std::vector<std::vector<TokenId>> prompts_;
  std::vector<QueryResult> results_;
  double read_seconds_ = 0;
};

}  // namespace

AskMode parse_ask_mode(std::string_view name) {
  for (const AskMode m : {AskMode::kMultiRequest, AskMode::kMultiTurn, AskMode::kSingle}) {
    if (name == ask_mode_name(m)) return m;
  }
  throw with_hint(usage_error("--mode", "'{}' is not known", name),
                  "known: multi-request, multi-turn, single");
}

std::string_view ask_mode_name(AskMode mode) {
  constexpr std::string_view kNames[] = {"multi-request", "multi-turn", "single"};
  return kNames[static_cast<size_t>(mode)];
}

std::vector<TokenId> question_prompt(const Engine& engine, const Instance& instance, size_t turn,
                                     AskMode mode) {
  return engine.chat_template() ? chat_prompt(engine, instance, turn, mode)
                                : plain_prompt(engine, instance, turn, mode);
}

size_t frame_tokens(const Engine& engine, size_t turns) {
  Instance instance;
  instance.task = "kv";
  instance.context = "A text.";
  instance.turns.resize(turns);
  for (Turn& t : instance.turns) {
    t.input = "What?";
    t.answers = {"This."};
  }
  const auto tokens = [&](auto prompt) {
    return prompt(engine, instance, turns - 1, AskMode::kMultiTurn).size();
  };
  const size_t framed = tokens(question_prompt), plain = tokens(plain_prompt);
  return framed > plain ? framed - plain : 0;
}

double score_output(const Instance& instance, size_t turn, std::string_view output) {
  const Turn& t = instance.turns[turn];
  const ScorerInfo& scorer = scorer_of(instance.suite, instance.task_of(t));
  std::vector<std::string> rivals;
  for (size_t i = 0; i < instance.turns.size(); ++i) {
    if (i == turn || instance.task_of(instance.turns[i]) != instance.task_of(t)) continue;
    const auto& others = instance.turns[i].answers;
    rivals.insert(rivals.end(), others.begin(), others.end());
  }
  const std::string clean =
      cleans_output(instance.suite) ? clean_output(output) : std::string(output);
  return scorer.score({clean, t.answers, t.options, rivals});
}

std::vector<QueryResult> run_instance(const std::shared_ptr<Engine>& engine,
                                      const Instance& instance, AskMode mode,
                                      const Progress& progress) {
  return InstanceRun(engine, instance, mode, progress).run();
}

}  // namespace fathom::eval
