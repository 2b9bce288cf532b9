// One encoder a format: block_values floats to one block. Called by quantize_row() only, which is
// the interface (block_formats.h).
#pragma once

#include <cstdint>

#include "base/half.h"

namespace fathom::kernel {

void encode_q4_0(const float* x, uint8_t* block);
void encode_q4_1(const float* x, uint8_t* block);
void encode_q5_0(const float* x, uint8_t* block);
void encode_q5_1(const float* x, uint8_t* block);
void encode_q8_0(const float* x, uint8_t* block);
void encode_mxfp4(const float* x, uint8_t* block);

void encode_q2_k(const float* x, uint8_t* block);
void encode_q3_k(const float* x, uint8_t* block);
void encode_q4_k(const float* x, uint8_t* block);
void encode_q5_k(const float* x, uint8_t* block);
void encode_q6_k(const float* x, uint8_t* block);

void encode_iq4_nl(const float* x, uint8_t* block);
void encode_iq4_xs(const float* x, uint8_t* block);
void encode_tq1_0(const float* x, uint8_t* block);
void encode_tq2_0(const float* x, uint8_t* block);

// Stores a scale and returns it as decoding will see it.
float put_half(float value, uint8_t* at);

// 32 codes of four bits in 16 bytes: code i with code i + 16.
void put_nibbles(const uint8_t* codes, uint8_t* qs);
// 256 codes of two bits in 64 bytes, as Q2_K, Q3_K and TQ2_0 have them.
void put_two_bits(const uint8_t* codes, uint8_t* qs);

}  // namespace fathom::kernel
