// Any bytes as a file of instances, in each layout, and of predictions.
#include "base/error.h"
#include "eval/instance_file.h"
#include "eval/predictions.h"
#include "eval/score/scorer.h"
#include "fuzz_input.h"

namespace {

using namespace fathom;

// What was read can be written, and reads the same again.
void check_round_trip(const eval::Instance& instance, eval::Layout layout) {
  const std::string line = eval::instance_line(instance, layout);
  const auto again = eval::parse_instances(line, "again", layout);
  FATHOM_CHECK(again.size() == 1 && eval::instance_line(again[0], layout) == line);
  for (const eval::Turn& turn : instance.turns) {
    for (const eval::Span& s : turn.gold) {
      FATHOM_CHECK(s.begin <= s.end && s.end <= instance.context.size());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  for (const eval::Layout layout : {eval::Layout::kFathom, eval::Layout::kRuler}) {
    try {
      for (const eval::Instance& i : eval::parse_instances(text, "fuzz", layout, "kv")) {
        check_round_trip(i, eval::Layout::kFathom);
      }
    } catch (const Error&) {
    }
  }
  try {
    const auto answered = eval::parse_predictions(text, "fuzz");
    for (const eval::ScorerInfo& scorer : eval::all_scorers()) {
      for (const eval::AnsweredTurn& t : answered.at(0).turns) {
        const double score = scorer.score({t.prediction, t.golds, t.options, t.golds});
        FATHOM_CHECK(score >= 0 && score <= 1);
      }
    }
    eval::summarize(eval::score_predictions(answered, "", "kv"));
  } catch (const Error&) {
  } catch (const std::out_of_range&) {  // an empty file
  }
  return 0;
}
