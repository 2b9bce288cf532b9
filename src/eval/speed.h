// How fast a model runs here, beside what the machine could do.
//
// The limit of a test is the time its multiply-adds take at the measured peak of the instructions
// they use, or its bytes take at the measured read bandwidth, whichever is longer.
#pragma once

#include <cstddef>
#include <vector>

#include "base/progress.h"
#include "engine/engine.h"
#include "eval/machine.h"

namespace fathom::eval {

enum class Depth : uint8_t {
  kShared,  // all sequences are forks of one text
  kOwn,     // each has read a text of its own
};

// Either `prompt` tokens read or `generate` tokens generated one by one, behind `depth` tokens; by
// several sequences together when generating.
struct SpeedTest {
  size_t prompt = 0;
  size_t generate = 0;
  size_t depth = 0;
  size_t sequences = 1;
  Depth depth_of = Depth::kShared;
  std::string name()
      const;  // "pp512", "tg128 @ d32768", as llama-bench writes it; "tg32 x8 shared"
};

struct SpeedResult {
  SpeedTest test;
  std::vector<double> tokens_per_second;  // of all sequences together; one a repetition
  double limit = 0;                       // tokens a second at the machine's limits
  size_t macs = 0, bytes = 0;             // of the whole test
  size_t kv_bytes = 0;                    // of the cache at its end
  // Means over the repetitions. Attention includes deciding what it reads.
  double seconds = 0, attention_seconds = 0, select_seconds = 0;
  double prompt_read = 1;  // share of the (query, key) pairs that reading computed
  double keys_read = 1;    // share of the kept keys that generating read

  double median() const;
  double share() const { return median() / limit; }  // of the limit
};

// Runs the test once to warm up and then `repetitions` times on forks of one cache of `depth`
// tokens.
SpeedResult measure_speed(engine::Engine& engine, const SpeedTest& test, size_t repetitions,
                          const MachineLimits& limits, const Progress& progress = {});

}  // namespace fathom::eval
