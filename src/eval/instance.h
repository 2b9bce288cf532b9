// Questions over a long context, as generated, stored and scored.
//
// A prompt is instruction, context, a turn's input and its answer prefix, in this order. Turns of
// one instance share instruction and context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fathom::eval {

// Bytes [begin, end) of the context. (In files: characters.)
struct Span {
  size_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

struct Turn {
  std::string task;  // of this turn, where an instance mixes tasks; else ""
  std::string input;
  std::string answer_prefix;  // what the answer is made to begin with; not part of it
  std::string lead_in;        // what stands before a right answer that is forced; not prompted
  std::vector<std::string> answers;
  std::vector<std::string> options;  // of a multiple choice
  std::vector<Span> gold;            // everything in the context that the answer needs
  size_t max_new = 0;                // tokens of an answer; 0: as the task says
};

struct Instance {
  std::string id;
  std::string suite;  // whose task it is: "scbench", ...; "": any
  std::string task;
  uint64_t seed = 0;
  size_t length_target = 0;  // tokens asked for; 0: unknown
  size_t tokens = 0;         // as measured by the generator; 0: unknown
  size_t cut_tokens = 0;     // that were cut out of the context's middle to make it fit
  double depth = -1;         // of the needle, 0 to 1; below 0: none
  std::string instruction;
  std::string context;
  std::vector<Turn> turns;

  const std::string& task_of(const Turn& turn) const {
    return turn.task.empty() ? task : turn.task;
  }
};

}  // namespace fathom::eval
