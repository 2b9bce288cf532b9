// What the per-instruction-set files ask of the compiler. Everything they define in headers is
// always inlined: an out-of-line copy built with AVX flags could be linked into code that runs on
// processors without AVX. Builds with sanitizers keep functions apart instead: instrumented and
// inlined, these files would take the compiler many minutes, and such builds are not shipped.
#pragma once

// FATHOM_APART: a function by itself, in each file that includes it, so that the compiler has all
// registers for its loop.
#define FATHOM_APART static __attribute__((noinline))

#ifdef FATHOM_SANITIZED
#define FATHOM_INLINE inline
#define FATHOM_LAMBDA_INLINE
#define FATHOM_UNROLL
#else
#define FATHOM_INLINE inline __attribute__((always_inline))
#define FATHOM_LAMBDA_INLINE __attribute__((always_inline))
#define FATHOM_UNROLL _Pragma("GCC unroll 8")
#endif
