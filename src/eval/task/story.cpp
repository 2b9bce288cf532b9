// SCBench's En.QA and En.MultiChoice: questions about a story, into which facts are planted that
// are asked for in other words. Of five questions three are about one planted fact, one about a
// hidden speaker and one joins two facts that lie far apart. Every fact has others of its kind
// about other people. The choice has no hidden speakers; its wrong options are those others.
#include <algorithm>

#include "base/error.h"
#include "eval/task/facts.h"
#include "eval/task/tasks.h"

namespace fathom::eval {
namespace {

constexpr size_t kOptions = 4;
constexpr double kApart = 0.3;  // of the context, between two facts that a question joins

enum class Kind : uint8_t { kPlanted, kSpeaker, kTwoHop };

struct Story {
  std::vector<Insert> inserts;
  std::vector<Turn> turns;

  void plant(const std::string& text, double depth, std::vector<size_t> turns_) {
    inserts.push_back({text + " ", depth, std::move(turns_)});
  }
};

// One planted fact and `others` of its kind; gives the others' values.
std::vector<std::string> plant_fact(FactMaker& maker, size_t others, Story& story) {
  const std::vector<StoryFact> facts = maker.draw(others);
  const size_t turn = story.turns.size();
  std::vector<std::string> values;
  for (size_t i = 0; i < facts.size(); ++i) {
    const std::vector<size_t> needed = i == 0 ? std::vector<size_t>{turn} : std::vector<size_t>{};
    story.plant(facts[i].statement, maker.random().unit(), needed);
    if (i > 0) values.push_back(facts[i].value);
  }
  Turn& t = story.turns.emplace_back();
  t.input = facts[0].question;
  t.answers = {facts[0].value};
  return values;
}

std::vector<std::string> plant_two_hop(FactMaker& maker, size_t others, Story& story) {
  const std::vector<FactMaker::TwoHop> hops = maker.draw_two_hops(others);
  const size_t turn = story.turns.size();
  std::vector<std::string> values;
  for (size_t i = 0; i < hops.size(); ++i) {
    const std::vector<size_t> needed = i == 0 ? std::vector<size_t>{turn} : std::vector<size_t>{};
    const double first = maker.random().unit() * (1 - kApart);
    const double second = first + kApart + maker.random().unit() * (1 - kApart - first);
    const bool swapped = maker.random().below(2) == 0;
    story.plant(hops[i].fact.statement, swapped ? second : first, needed);
    story.plant(hops[i].second, swapped ? first : second, needed);
    if (i > 0) values.push_back(hops[i].fact.value);
  }
  Turn& t = story.turns.emplace_back();
  t.input = hops[0].fact.question;
  t.answers = {hops[0].fact.value};
  return values;
}

// A scene in which a speaker's name is masked, and two in which it is not.
void plant_speaker(FactMaker& maker, Story& story) {
  const size_t turn = story.turns.size();
  const std::string mask = fmt::format("[HIDDEN-{}]", turn + 1);
  for (size_t i = 0; i < 3; ++i) {
    const std::string name = maker.new_name(), what = thing(maker.random());
    const std::string speaker = i == 0 ? mask : name;
    const std::string scene = fmt::format(
        "At the door {} was carrying the {}, and nobody else was allowed to touch it. \"I have "
        "carried the {} all the way from home,\" said {}, and sat down.",
        name, what, what, speaker);
    story.plant(scene, maker.random().unit(),
                i == 0 ? std::vector<size_t>{turn} : std::vector<size_t>{});
    if (i > 0) continue;
    Turn& t = story.turns.emplace_back();
    t.input = fmt::format("Which person's name does {} stand for?", mask);
    t.answers = {name, name.substr(0, name.find(' ')), name.substr(name.find(' ') + 1)};
  }
}

Instance fit_story(const Draw& draw, const Story& story, std::string_view instruction) {
  ProseStream prose = draw.prose();
  return fit(draw, [&](size_t units, size_t) {
    Instance out;
    out.instruction = instruction;
    out.turns = story.turns;
    weave(prose.first(units), story.inserts, out);
    return out;
  });
}

// Puts the gold option at a place that is each letter equally often.
void offer(Turn& turn, std::vector<std::string> wrong, size_t place) {
  turn.options = std::move(wrong);
  turn.options.resize(kOptions - 1);
  turn.options.insert(turn.options.begin() + static_cast<std::ptrdiff_t>(place), turn.answers[0]);
  turn.answers = {std::string(1, static_cast<char>('A' + place))};
  for (size_t i = 0; i < kOptions; ++i) {
    turn.input += fmt::format("\n{}. {}", static_cast<char>('A' + i), turn.options[i]);
  }
}

}  // namespace

Instance make_story_questions(const Draw& draw) {
  Random facts = draw.facts();
  FactMaker maker(facts);
  Story story;
  std::vector<Kind> kinds;
  constexpr Kind kCycle[] = {Kind::kPlanted, Kind::kSpeaker, Kind::kPlanted, Kind::kTwoHop,
                             Kind::kPlanted};
  for (size_t t = 0; t < draw.turns; ++t) kinds.push_back(kCycle[t % std::size(kCycle)]);
  facts.shuffle(kinds);
  for (const Kind kind : kinds) {
    if (kind == Kind::kPlanted) plant_fact(maker, 2, story);
    if (kind == Kind::kTwoHop) plant_two_hop(maker, 2, story);
    if (kind == Kind::kSpeaker) plant_speaker(maker, story);
  }
  for (Turn& t : story.turns) {
    t.input = "Question: " + t.input;
    t.answer_prefix = "Answer:";
  }
  return fit_story(draw, story,
                   "Read the following story. Questions about it come afterwards; answer each in "
                   "as few words as it takes.");
}

Instance make_story_choices(const Draw& draw) {
  Random facts = draw.facts();
  FactMaker maker(facts);
  Story story;
  for (size_t t = 0; t < draw.turns; ++t) {
    const bool two_hop = t % 4 == 3;
    const std::vector<std::string> wrong = two_hop ? plant_two_hop(maker, kOptions - 1, story)
                                                   : plant_fact(maker, kOptions - 1, story);
    offer(story.turns.back(), wrong, (draw.index + t) % kOptions);
    story.turns.back().answer_prefix = "The letter of the right answer is:";
  }
  return fit_story(draw, story,
                   "Read the following story. Questions about it come afterwards, each with four "
                   "answers of which one is right; give its letter.");
}

}  // namespace fathom::eval
