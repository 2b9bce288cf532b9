// How long attention takes at the length that a text will have, without reading one so long.
//
// Only attention grows with the length, and one layer tells the time of all: a cache is filled with
// keys and values by lot, and the engine's own attention is timed on it. Reading is timed in pieces
// behind a quarter and behind three quarters of the text, whose mean is that of the whole text
// where the time grows with what lies behind; decoding behind all of it, on as many layers in turn
// as keep a layer's pages from staying in the processor's caches.
//
// Scratch has its full size, and pages are touched, before anything is timed.
#pragma once

#include <functional>
#include <vector>

#include "engine/engine.h"

namespace fathom::eval {

struct LayerPlan {
  size_t length = 0;  // tokens of the text
  size_t behind = 0;  // that a decode step has behind it: what KEEP leaves
  size_t held = 0;    // most that a cache holds while the text is read; 0: all
};

// Of all layers together.
struct LayerSpeed {
  // Seconds a token of the text: choosing what it attends to, with all that is not attention
  // itself, and attending to that.
  double choose = 0, attend = 0;
  double density = 1;  // share of the pairs that was attended to, among keys by lot
  double step = 0;     // seconds of a decode step

  double read() const { return choose + attend; }
};

class LayerTimer {
 public:
  explicit LayerTimer(const model::Config& config);

  // The time of the engine's policy; its model is the timer's. `go_on` is called between pieces;
  // once it says false, what was not timed is left at 0.
  LayerSpeed time(engine::Engine& engine, const LayerPlan& plan,
                  const std::function<bool()>& go_on);

 private:
  friend class LayerRun;
  std::vector<float> q_, k_, v_, out_;  // of a piece
};

}  // namespace fathom::eval
