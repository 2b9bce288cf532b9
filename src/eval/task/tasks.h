// The functions behind the registry's lines; each file's head says what its tasks are.
#pragma once

#include <string>
#include <vector>

#include "eval/task/task.h"

namespace fathom::eval {

Instance make_needle(const Draw& draw);             // needle.cpp
Instance make_hidden_facts(const Draw& draw);       // hidden_facts.cpp
Instance make_niah(const Draw& draw);               // niah.cpp: eight of RULER's
Instance make_variable_tracking(const Draw& draw);  // variables.cpp: RULER's vt
Instance make_multi_hop(const Draw& draw);          // variables.cpp: SCBench's vt
Instance make_common_words(const Draw& draw);       // frequency.cpp: cwe
Instance make_frequent_words(const Draw& draw);     // frequency.cpp: fwe
Instance make_card_question(const Draw& draw);      // cards.cpp: qa_1
Instance make_card_bridge(const Draw& draw);        // cards.cpp: qa_2
Instance make_key_value(const Draw& draw);          // key_value.cpp: kv
Instance make_key_value_words(const Draw& draw);    // key_value.cpp: kv_words
Instance make_prefix_suffix(const Draw& draw);      // prefix_suffix.cpp
Instance make_repository(const Draw& draw);         // repository.cpp: repoqa
Instance make_repository_kv(const Draw& draw);      // repository.cpp: repoqa_and_kv
Instance make_story_questions(const Draw& draw);    // story.cpp: qa_eng
Instance make_story_choices(const Draw& draw);      // story.cpp: choice_eng
Instance make_chinese_questions(const Draw& draw);  // story_chinese.cpp: qa_chn
Instance make_math_find(const Draw& draw);          // math_find.cpp: mf
Instance make_many_shot(const Draw& draw);          // many_shot.cpp
Instance make_label_shots(const Draw& draw);        // many_shot.cpp: many_shot_labels
Instance make_summary(const Draw& draw);            // summary.cpp
Instance make_summary_needles(const Draw& draw);    // summary.cpp

// The n first sentences of five plain remarks that repeat: text without any information.
std::vector<std::string> noise(size_t n);
// The sentences of `from` with `fill` more behind them.
std::vector<std::string> with_fill(std::vector<std::string> from, size_t fill);

}  // namespace fathom::eval
