// The shapes that kernels are tested and benchmarked on: a speed is quoted only for a shape that is
// also checked.
#pragma once

#include <cstddef>
#include <span>

#include "kernel/attention.h"

namespace fathom::kernel {

struct MatmulCase {
  const char* name;
  size_t rows, columns, tokens;
  double macs() const { return double(rows) * double(columns) * double(tokens); }
};

inline constexpr MatmulCase kMatmulCases[] = {
    {"one_row", 1, 256, 1},        {"ragged_tile", 17, 256, 3}, {"two_tiles", 32, 512, 4},
    {"few_tokens", 48, 768, 15},   {"expanded", 33, 256, 16},   {"odd_tiles", 80, 512, 23},
    {"ragged_rows", 1000, 256, 7}, {"long_row", 40, 8448, 19},  {"wide", 96, 1024, 67},
};
// Shapes of the 1B model, for benchmarks.
inline constexpr MatmulCase kMatmulBenchCases[] = {
    {"decode_qkv", 3072, 2048, 1},     {"decode_down", 2048, 8192, 1},
    {"batch8", 2048, 2048, 8},         {"prefill_qkv", 3072, 2048, 512},
    {"prefill_gate", 8192, 2048, 512}, {"prefill_down", 2048, 8192, 512},
};

struct AttendCase {
  const char* name;
  size_t head_dim, rows, keys;
  int window = 0;
  float soft_cap = 0;
  bool scattered = false;  // positions with gaps, as after eviction
  double macs() const { return 2.0 * double(head_dim) * double(rows) * double(keys); }
};

inline constexpr AttendCase kAttendCases[] = {
    {"one_key", 64, 1, 1},
    {"page_less_one", 64, 4, 63},
    {"one_page", 64, 5, 64},
    {"page_and_one", 64, 7, 65},
    {"tiny_head", 8, 13, 100},
    {"head_32", 32, 64, 300},
    {"whole_tile", 64, 192, 200},
    {"head_40", 40, 6, 129},
    {"head_80", 80, 12, 200},
    {"head_96", 96, 11, 257},
    {"head_128", 128, 48, 512},
    {"head_256", 256, 33, 190},
    {"window", 64, 20, 400, 50},
    {"soft_cap", 32, 9, 210, 0, 30.0f},
    {"window_and_cap", 64, 64, 333, 100, 50.0f},
    {"scattered", 64, 16, 150, 0, 0, true},
    {"scattered_window", 64, 16, 150, 120, 0, true},
};
inline constexpr AttendCase kAttendBenchCases[] = {
    {"decode_64", 64, 4, 1024},    {"decode_128", 128, 4, 1024},
    {"decode_far", 64, 4, 262144},  // beyond the caches
    {"prefill_64", 64, 64, 1024},  {"prefill_128", 128, 64, 1024},
};

}  // namespace fathom::kernel
