#include "kv/keep/scorers.h"

#include "base/error.h"
#include "kv/keep/expected_attention.h"
#include "kv/keep/h2o.h"
#include "kv/keep/key_diff.h"
#include "kv/keep/key_norm.h"
#include "kv/keep/snapkv.h"
#include "kv/keep/tova.h"

namespace fathom::kv {

ScorerPtr make_scorer(const Parameters& p) {
  const std::string& name = p.text("scorer");
  if (name == "expected") return expected_attention_scorer({});
  if (name == "h2o") return received_scorer(ReceivedNorm::kSum);
  if (name == "knorm") return key_norm_scorer();
  if (name == "keydiff") return key_diff_scorer();
  if (name == "tova") return tova_scorer();
  FATHOM_CHECK(name == "snapkv");
  return snapkv_scorer({p.count("window"), pooling_of(p.text("pool")), p.count("kernel")});
}

}  // namespace fathom::kv
