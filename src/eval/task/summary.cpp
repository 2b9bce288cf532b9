// SCBench's En.Sum and Mix.Sum+NIAH: several documents one after the other; a turn asks for the
// summary of one. Six facts (who, where, when, what, how many, the outcome) are planted in each at
// six depths, and the reference is these six sentences. `options` of a turn hold the six values.
// With needles, other turns ask the pass key of a document.
#include <algorithm>

#include "base/error.h"
#include "eval/task/tasks.h"
#include "eval/task/words.h"

namespace fathom::eval {
namespace {

constexpr size_t kMostDocuments = 12;
constexpr size_t kNeedles = 4;
constexpr size_t kTokensOfDocument = 2000;  // documents of shorter contexts are fewer, not shorter

constexpr std::string_view kOutcomes[] = {"the case was dropped",
                                          "the bridge was closed for good",
                                          "both sides shook hands",
                                          "the money was never found",
                                          "a new council was chosen",
                                          "the old law was kept",
                                          "the ship sailed without them",
                                          "everything was sold at auction",
                                          "the school was opened again",
                                          "the letter was burnt unread",
                                          "the wall was taken down",
                                          "the harvest was shared out",
                                          "the bell was hung a second time",
                                          "the map proved to be false",
                                          "the inn changed hands",
                                          "the witness withdrew"};

struct Slot {
  std::string sentence, value;
};
struct Document {
  std::string title, key;
  std::vector<Slot> slots;
};

Document draw_document(Random& random, Unique& titles) {
  Document d;
  d.title = titles.draw([&] {
    const std::string what = thing(random);
    return "The " + capitalized(what);
  });
  const std::string who = full_name(random), where = place_name(random);
  const std::string when = fmt::format("{} {}", random.pick(days()), random.between(1, 28));
  const std::string what = thing(random);
  const std::string number = std::to_string(random.between(12, 980));
  const std::string outcome(random.pick(Words(kOutcomes)));
  d.key = digits(random, 5);
  d.slots = {{fmt::format("It was {} who set the whole matter in motion.", who), who},
             {fmt::format("All of this took place in {}.", where), where},
             {fmt::format("The day that mattered was {} of that month.", when), when},
             {fmt::format("Everything turned upon the {}.", what), what},
             {fmt::format("In all, {} people had a part in it.", number), number},
             {fmt::format("In the end {}.", outcome), outcome}};
  return d;
}

Turn summary_turn(const Document& d) {
  Turn turn;
  turn.task = "summary";
  turn.input = fmt::format(
      "Summarise the document \"{}\" in a few sentences: who, where, when, what it turned upon, "
      "how many took part, and how it ended.",
      d.title);
  turn.answer_prefix = "Summary:";
  std::string reference;
  for (const Slot& s : d.slots) {
    reference += (reference.empty() ? "" : "\n") + s.sentence;
    turn.options.push_back(s.value);
  }
  turn.answers = {reference};
  return turn;
}

Turn needle_turn(const Document& d, size_t max_new) {
  Turn turn;
  turn.task = "needle";
  turn.input = fmt::format("What is the pass key of \"{}\"?", d.title);
  turn.answer_prefix = "The pass key is";
  turn.answers = {d.key};
  turn.max_new = max_new;
  return turn;
}

struct Plan {
  std::vector<Document> documents;
  std::vector<std::vector<Insert>> inserts;  // of each document
  std::vector<Turn> turns;
};

void plan_inserts(const Plan& plan, Random& random, std::vector<std::vector<Insert>>& out) {
  for (const Document& d : plan.documents) {
    std::vector<Insert>& inserts = out.emplace_back();
    for (size_t s = 0; s < d.slots.size(); ++s) {
      const double depth = (double(s) + random.unit()) / double(d.slots.size());
      inserts.push_back({d.slots[s].sentence + " ", depth, {}});
    }
  }
}

// Documents in the order they are asked: the same for every length, less those that are not there.
std::vector<size_t> asked_order(size_t documents, Random& random) {
  std::vector<size_t> order(kMostDocuments);
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  random.shuffle(order);
  order.erase(std::remove_if(order.begin(), order.end(), [&](size_t d) { return d >= documents; }),
              order.end());
  return order;
}

enum class With : uint8_t { kSummaries, kNeedles };

Plan make_plan(const Draw& draw, With with) {
  Random facts = draw.facts();
  Unique titles;
  Plan plan;
  for (size_t i = 0; i < kMostDocuments; ++i) {
    plan.documents.push_back(draw_document(facts, titles));
  }
  plan_inserts(plan, facts, plan.inserts);
  const size_t documents = std::clamp<size_t>(draw.length / kTokensOfDocument, 2, kMostDocuments);
  const std::vector<size_t> order = asked_order(documents, facts);
  const size_t needles = with == With::kNeedles ? std::min(kNeedles, order.size()) : 0;
  size_t summaries = 0, keys = 0;
  for (size_t t = 0; t < draw.turns; ++t) {
    const bool needle = t % 2 == 1 && keys < needles;
    if (!needle && summaries == order.size()) continue;
    // Keys are asked of other documents than the summary before, where there are others.
    const size_t d = needle ? order[order.size() - 1 - keys++] : order[summaries++];
    const size_t turn = plan.turns.size();
    plan.turns.push_back(needle ? needle_turn(plan.documents[d], std::min<size_t>(15, draw.length))
                                : summary_turn(plan.documents[d]));
    if (!needle) {
      for (size_t s = 0; s < 6; ++s) plan.inserts[d][s].turns.push_back(turn);
      continue;
    }
    const std::string text =
        fmt::format("The pass key of {} is {}. ", plan.documents[d].title, plan.documents[d].key);
    plan.inserts[d].push_back({text, facts.unit(), {turn}});
  }
  plan.documents.resize(documents);
  return plan;
}

Instance make(const Draw& draw, With with) {
  const Plan plan = make_plan(draw, with);
  ProseStream prose = draw.prose();
  return fit(draw, [&](size_t units, size_t) {
    Instance out;
    out.instruction =
        "Below are several documents, each under its title. You will be asked about them "
        "afterwards.";
    out.turns = plan.turns;
    if (with == With::kSummaries) {
      for (Turn& t : out.turns) t.task.clear();
    }
    const auto sentences = prose.first(units);
    const size_t documents = plan.documents.size();
    for (size_t d = 0; d < documents; ++d) {
      append(out, fmt::format("Document {}: {}\n\n", d + 1, plan.documents[d].title));
      const size_t begin = units * d / documents, end = units * (d + 1) / documents;
      weave(sentences.subspan(begin, end - begin), plan.inserts[d], out);
      append(out, "\n\n");
    }
    return out;
  });
}

}  // namespace

Instance make_summary(const Draw& draw) { return make(draw, With::kSummaries); }
Instance make_summary_needles(const Draw& draw) { return make(draw, With::kNeedles); }

}  // namespace fathom::eval
