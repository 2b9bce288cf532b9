#include "kernel/kernels.h"

#include <cstdlib>
#include <string>

#include "base/cpu.h"
#include "base/error.h"
#include "kernel/scalar/tables.h"
#if defined(__x86_64__)
#include "kernel/avx2/tables.h"
#include "kernel/avx512/tables.h"
#include "kernel/avx512bf16/tables.h"
#endif

namespace fathom::kernel {
namespace {

const Kernels kScalar{"scalar",           [] { return true; }, scalar_matmul, scalar_attend,
                      scalar_elementwise, scalar_score,        scalar_limits, KvFormat::kF16};

#if defined(__x86_64__)
LimitKernels with_bf16(LimitKernels limits) {
  limits.bf16 = avx512bf16_rounds;
  return limits;
}
ScoreKernels with_bf16(ScoreKernels score) {
  score.rounded_scores = avx512bf16_rounded_scores();
  return score;
}

const Kernels kAvx2{"avx2",           [] { return cpu_features().avx2; },
                    avx2_matmul,      avx2_attend,
                    avx2_elementwise, avx2_score,
                    avx2_limits,      KvFormat::kF16};
const Kernels kAvx512{"avx512",           [] { return cpu_features().avx512; },
                      avx512_matmul,      avx512_attend,
                      avx512_elementwise, avx512_score,
                      avx512_limits,      KvFormat::kF16};
const Kernels kAvx512Bf16{"avx512bf16",
                          [] { return cpu_features().avx512_bf16; },
                          avx512bf16_matmul,
                          avx512bf16_attend,
                          avx512_elementwise,
                          with_bf16(avx512_score),
                          with_bf16(avx512_limits),
                          KvFormat::kBF16};
const Kernels* const kTables[] = {&kAvx512Bf16, &kAvx512, &kAvx2, &kScalar};
#else
const Kernels* const kTables[] = {&kScalar};
#endif

}  // namespace

std::span<const Kernels* const> all_kernels() { return kTables; }

const Kernels& scalar_kernels() { return kScalar; }

const Kernels& pick_kernels(std::string_view forced) {
  std::string known;
  for (const Kernels* table : kTables) {
    const bool asked = forced.empty() || forced == table->name ||
                       (forced == "avx512" && table->name == "avx512bf16");
    if (asked && table->runs_here()) return *table;
    known += (known.empty() ? "" : ", ") + std::string(table->name);
  }
  for (const Kernels* table : kTables) {
    if (forced == table->name) {
      throw unsupported("FATHOM_CPU", "this processor cannot run '{}'", forced);
    }
  }
  throw with_hint(usage_error("FATHOM_CPU", "'{}' is not an instruction set", forced),
                  "known: " + known);
}

const Kernels& default_kernels() {
  static const Kernels& chosen = []() -> const Kernels& {
    const char* forced = std::getenv("FATHOM_CPU");
    return pick_kernels(forced ? forced : "");
  }();
  return chosen;
}

}  // namespace fathom::kernel
