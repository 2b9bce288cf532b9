#include "model/model.h"

#include "base/error.h"
#include "model/family.h"

namespace fathom::model {

std::shared_ptr<const Model> Model::load(std::shared_ptr<const file::Checkpoint> checkpoint,
                                         ThreadPool& pool, const Progress& progress) {
  const Family& family = find_family(*checkpoint);
  std::shared_ptr<Model> model(new Model());
  model->config_ = read_config(*checkpoint);
  const Config& c = model->config_;
  Weights& w = model->weights_;
  WeightLoader loader(*checkpoint, pool, progress);
  if (loader.has("output.weight")) {
    w.output = loader.matrix("output.weight", {c.vocab, c.dim});
    w.embedding_view = &loader.view("token_embd.weight", {c.vocab, c.dim});
  } else {
    w.embedding = loader.matrix("token_embd.weight", {c.vocab, c.dim});
  }
  w.output_norm = loader.vector("output_norm.weight", c.dim);
  w.layers.reserve(c.layers);
  for (size_t l = 0; l < c.layers; ++l) {
    w.layers.push_back(family.load_layer(loader, c, fmt::format("blk.{}.", l)));
  }
  model->checkpoint_ = std::move(checkpoint);
  return model;
}

}  // namespace fathom::model
