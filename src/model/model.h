// A decoder's constants and weights in memory. Immutable: any number of Forwards on any threads may
// share one.
#pragma once

#include <memory>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "file/checkpoint.h"
#include "model/config.h"
#include "model/weights.h"

namespace fathom::model {

class Model {
 public:
  // Reads and packs every weight. Reports "loading" in bytes. Throws fathom::Error.
  static std::shared_ptr<const Model> load(std::shared_ptr<const file::Checkpoint> checkpoint,
                                           ThreadPool& pool, const Progress& progress = {});

  const Config& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  const file::Checkpoint& checkpoint() const { return *checkpoint_; }

 private:
  Model() = default;

  std::shared_ptr<const file::Checkpoint> checkpoint_;  // rows of an untied embedding stay there
  Config config_;
  Weights weights_;
};

}  // namespace fathom::model
