// The account of a sequence: what its ledger counted, and what its cache holds.
#pragma once

#include <fathom/account.h>

#include "kv/policy.h"
#include "kv/sequence_cache.h"

namespace fathom::kv {

// REQUIRES: the cache has a ledger.
Account make_account(const SequenceCache& cache, const Policy& policy);

}  // namespace fathom::kv
