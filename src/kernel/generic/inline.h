// What the per-instruction-set files ask of the compiler. Everything they define in headers is
// always inlined: an out-of-line copy built with AVX flags could be linked into code that runs on
// processors without AVX.
#pragma once

#define FATHOM_INLINE inline __attribute__((always_inline))
#define FATHOM_UNROLL _Pragma("GCC unroll 8")
