// The bundled model on one thread, loaded once for each policy line.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "support/shared_data.h"

namespace fathom::test {

inline const engine::Engine& bundled_engine(const std::string& kv = "") {
  static std::map<std::string, std::shared_ptr<engine::Engine>> engines;
  std::shared_ptr<engine::Engine>& engine = engines[kv];
  if (!engine) {
    ModelOptions options;
    options.threads = 1;
    if (!kv.empty()) options.kv = kv;
    engine = engine::Engine::load(bundled_model(), options);
  }
  return *engine;
}

}  // namespace fathom::test
