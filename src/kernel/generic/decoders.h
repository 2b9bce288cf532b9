// How each weight format turns a packed block (matrix.h) into bytes and scales, written once for
// every vector type V.
//
// A decoder serves V::kLanes rows, lanes [lane, lane + kLanes) of the 16 of a tile, and sub-blocks
// of 32 values:
//   value = scale * (code - kZero) - min        codes unsigned, at most kMaxCode
//   codes<phase>(p, b, lane, out)  sub-block b of the block at p: 8 vectors, each 4 values of every
//                                  row; phase = b % kPhases, a constant where bits are picked by it
//   scale<half>(p, b, lane)        scale of values [16 half, 16 half + 16) of the sub-block
//   min<half>(p, b, lane)          where kMins
// kHalves is 2 where the two 16s of a sub-block have scales of their own, else 1. kMaxCode 255
// stands for signed codes passed through V::from_signed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/generic/inline.h"

namespace fathom::kernel {

enum class Mins : uint8_t { kNone, kPresent };

template <class V, size_t kValues, size_t kFileBytes>
struct DecoderBase {
  static constexpr size_t kBlockValues = kValues;
  static constexpr size_t kBlockBytes = kFileBytes * 16;
  static constexpr int kHalves = 1;
  static constexpr size_t kPhases = 1;
  static constexpr Mins kMins = Mins::kNone;
  using F = typename V::F;
  using I = typename V::I;
  using B = typename V::B;

  static FATHOM_INLINE F f16(const uint8_t* p, size_t lane) { return V::load_f16(p + 2 * lane); }
  static FATHOM_INLINE B group(const uint8_t* p, size_t j, size_t lane) {
    return V::load_bytes(p + 64 * j + 4 * lane);
  }
  // 16 packed bytes of each row: low nibbles are values 0..15, high nibbles 16..31.
  static FATHOM_INLINE void nibbles(const uint8_t* p, size_t lane, B out[8]) {
    FATHOM_UNROLL
    for (size_t j = 0; j < 4; ++j) {
      const B both = group(p, j, lane);
      out[j] = V::and_bytes(both, 15);
      out[j + 4] = V::template shr_and<4>(both, 15);
    }
  }
  // 32 packed bytes of each row, of which kShift (0 or 4) picks the nibble.
  template <int kShift>
  static FATHOM_INLINE void nibble_plane(const uint8_t* p, size_t lane, B out[8]) {
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) out[j] = V::template shr_and<kShift>(group(p, j, lane), 15);
  }
};

template <class V>
struct DecodeQ4_0 : DecoderBase<V, 32, 18> {
  using Base = DecoderBase<V, 32, 18>;
  static constexpr int kMaxCode = 15, kZero = 8;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    Base::nibbles(p, lane, out);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 256, lane);
  }
};

template <class V>
struct DecodeQ4_1 : DecoderBase<V, 32, 20> {
  using Base = DecoderBase<V, 32, 20>;
  static constexpr int kMaxCode = 15, kZero = 0;
  static constexpr Mins kMins = Mins::kPresent;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    Base::nibbles(p, lane, out);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 256, lane);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F min(const uint8_t* p, size_t, size_t lane) {
    return V::sub(V::zero(), Base::f16(p + 288, lane));  // the file adds m
  }
};

template <class V>
struct DecodeQ5_0 : DecoderBase<V, 32, 22> {
  using Base = DecoderBase<V, 32, 22>;
  static constexpr int kMaxCode = 31, kZero = 16;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    Base::nibbles(p, lane, out);
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) out[j] = V::add_where(out[j], p + 256 + 8 * j, lane, 16);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 320, lane);
  }
};

template <class V>
struct DecodeQ5_1 : DecoderBase<V, 32, 24> {
  using Base = DecoderBase<V, 32, 24>;
  static constexpr int kMaxCode = 31, kZero = 0;
  static constexpr Mins kMins = Mins::kPresent;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    Base::nibbles(p, lane, out);
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) out[j] = V::add_where(out[j], p + 256 + 8 * j, lane, 16);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 320, lane);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F min(const uint8_t* p, size_t, size_t lane) {
    return V::sub(V::zero(), Base::f16(p + 352, lane));
  }
};

template <class V>
struct DecodeQ8_0 : DecoderBase<V, 32, 34> {
  using Base = DecoderBase<V, 32, 34>;
  static constexpr int kMaxCode = 255, kZero = V::kSignedOffset;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) out[j] = V::from_signed(Base::group(p, j, lane));
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 512, lane);
  }
};

alignas(16) inline constexpr uint8_t kIq4Levels[16] = {  // signed, as bytes
    129, 152, 173, 191, 207, 221, 234, 246, 1, 13, 25, 38, 53, 69, 89, 113};

template <class V>
FATHOM_INLINE void iq4_codes(const uint8_t* p, size_t lane, typename V::B out[8]) {
  DecoderBase<V, 32, 18>::nibbles(p, lane, out);
  FATHOM_UNROLL
  for (size_t j = 0; j < 8; ++j) out[j] = V::from_signed(V::lookup16(out[j], kIq4Levels));
}

template <class V>
struct DecodeIQ4_NL : DecoderBase<V, 32, 18> {
  using Base = DecoderBase<V, 32, 18>;
  static constexpr int kMaxCode = 255, kZero = V::kSignedOffset;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    iq4_codes<V>(p, lane, out);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 256, lane);
  }
};

template <class V>
struct DecodeIQ4_XS : DecoderBase<V, 256, 136> {
  using Base = DecoderBase<V, 256, 136>;
  static constexpr int kMaxCode = 255, kZero = V::kSignedOffset;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    iq4_codes<V>(p + 256 * b, lane, out);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    const auto bytes = V::load_bytes_i32(p + 2048 + 16 * (b / 2) + lane);
    const int n = static_cast<int>(b);
    const auto low = V::and_i32(V::shr_i32(bytes, 4 * (n & 1)), 15);
    const auto high = V::and_i32(V::shr_i32(V::load_u16_i32(p + 2112 + 2 * lane), 2 * n), 3);
    const auto code = V::sub_i32(V::or_i32(low, V::template shl_i32<4>(high)), 32);
    return V::mul(Base::f16(p + 2144, lane), V::to_float(code));
  }
};

alignas(16) inline constexpr uint8_t kMxfp4Levels[16] = {  // twice the E2M1 values, plus 12
    12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

template <class V>
struct DecodeMXFP4 : DecoderBase<V, 32, 17> {
  using Base = DecoderBase<V, 32, 17>;
  static constexpr int kMaxCode = 31, kZero = 12;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    Base::nibbles(p, lane, out);
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) out[j] = V::lookup16(out[j], kMxfp4Levels);
  }
  // 2^(e - 128): exponent field e - 1, and two float denormals below that.
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    const auto e = V::load_bytes_i32(p + 256 + lane);
    const auto tiny = V::bits_to_float(V::template shl_i32<23>(V::max_i32(V::sub_i32(e, 1), 1)));
    const auto factor = V::bits_to_float(
        V::template shl_i32<23>(V::sub_i32(V::min_i32(e, 2), -125)));  // 2^0, 2^-1 or 2^-2
    return V::mul(tiny, factor);
  }
};

// The 6-bit scales and minimums of Q4_K and Q5_K from 12 planes of 16 bytes.
template <class V>
struct KScales {
  static FATHOM_INLINE typename V::I plane(const uint8_t* p, size_t i, size_t lane) {
    return V::load_bytes_i32(p + 16 * i + lane);
  }
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    if (b < 4) return V::to_float(V::and_i32(plane(p, b, lane), 63));
    const auto low = V::and_i32(plane(p, b + 4, lane), 15);
    const auto high = V::shr_i32(plane(p, b - 4, lane), 6);
    return V::to_float(V::or_i32(low, V::template shl_i32<4>(high)));
  }
  static FATHOM_INLINE typename V::F min(const uint8_t* p, size_t b, size_t lane) {
    if (b < 4) return V::to_float(V::and_i32(plane(p, b + 4, lane), 63));
    const auto low = V::shr_i32(plane(p, b + 4, lane), 4);
    const auto high = V::shr_i32(plane(p, b, lane), 6);
    return V::to_float(V::or_i32(low, V::template shl_i32<4>(high)));
  }
};

template <class V>
struct DecodeQ4_K : DecoderBase<V, 256, 144> {
  using Base = DecoderBase<V, 256, 144>;
  static constexpr int kMaxCode = 15, kZero = 0;
  static constexpr size_t kPhases = 2;
  static constexpr Mins kMins = Mins::kPresent;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    Base::template nibble_plane<4 * phase>(p + 512 * (b / 2), lane, out);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    return V::mul(Base::f16(p + 2240, lane), KScales<V>::scale(p + 2048, b, lane));
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F min(const uint8_t* p, size_t b, size_t lane) {
    return V::mul(Base::f16(p + 2272, lane), KScales<V>::min(p + 2048, b, lane));
  }
};

template <class V>
struct DecodeQ5_K : DecoderBase<V, 256, 176> {
  using Base = DecoderBase<V, 256, 176>;
  static constexpr int kMaxCode = 31, kZero = 0;
  static constexpr size_t kPhases = 2;
  static constexpr Mins kMins = Mins::kPresent;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    Base::template nibble_plane<4 * phase>(p + 512 * (b / 2), lane, out);
    const uint8_t* bits = p + 2048 + 64 * b;
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) out[j] = V::add_where(out[j], bits + 8 * j, lane, 16);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    return V::mul(Base::f16(p + 2752, lane), KScales<V>::scale(p + 2560, b, lane));
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F min(const uint8_t* p, size_t b, size_t lane) {
    return V::mul(Base::f16(p + 2784, lane), KScales<V>::min(p + 2560, b, lane));
  }
};

template <class V>
struct DecodeQ6_K : DecoderBase<V, 256, 210> {
  using Base = DecoderBase<V, 256, 210>;
  static constexpr int kMaxCode = 63, kZero = 32, kHalves = 2;
  static constexpr size_t kPhases = 4;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    constexpr size_t g = phase;
    const size_t h = b / 4;
    const uint8_t* low = p + 1024 * h + 512 * (g & 1);
    const uint8_t* high = p + 2048 + 512 * h;
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) {
      const auto four = V::template shr_and<(g < 2 ? 0 : 4)>(Base::group(low, j, lane), 15);
      const auto two = V::template shr_and<2 * g>(Base::group(high, j, lane), 3);
      out[j] = V::or_bytes(four, V::template shl_bytes<4>(two));
    }
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    const uint8_t* scales = p + 3072 + 16 * (2 * b + half);
    return V::mul(Base::f16(p + 3328, lane), V::signed_bytes_to_float(scales + lane));
  }
};

template <class V>
struct DecodeQ2_K : DecoderBase<V, 256, 84> {
  using Base = DecoderBase<V, 256, 84>;
  static constexpr int kMaxCode = 3, kZero = 0, kHalves = 2;
  static constexpr size_t kPhases = 4;
  static constexpr Mins kMins = Mins::kPresent;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    const uint8_t* plane = p + 512 * (b / 4);
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) {
      out[j] = V::template shr_and<2 * phase>(Base::group(plane, j, lane), 3);
    }
  }
  static FATHOM_INLINE typename V::I scales(const uint8_t* p, size_t n, size_t lane) {
    return V::load_bytes_i32(p + 1024 + 16 * n + lane);
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    return V::mul(Base::f16(p + 1280, lane),
                  V::to_float(V::and_i32(scales(p, 2 * b + half, lane), 15)));
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F min(const uint8_t* p, size_t b, size_t lane) {
    return V::mul(Base::f16(p + 1312, lane),
                  V::to_float(V::shr_i32(scales(p, 2 * b + half, lane), 4)));
  }
};

template <class V>
struct DecodeQ3_K : DecoderBase<V, 256, 110> {
  using Base = DecoderBase<V, 256, 110>;
  static constexpr int kMaxCode = 7, kZero = 4, kHalves = 2;
  static constexpr size_t kPhases = 4;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    const uint8_t* plane = p + 512 * (b / 4);
    const uint8_t* bits = p + 1024 + 64 * b;
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) {
      const auto two = V::template shr_and<2 * phase>(Base::group(plane, j, lane), 3);
      out[j] = V::add_where(two, bits + 8 * j, lane, 4);
    }
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t b, size_t lane) {
    const uint8_t* planes = p + 1536;
    const size_t n = 2 * b + half;
    const auto nibbles = V::load_bytes_i32(planes + 16 * (n % 8) + lane);
    const auto pairs = V::load_bytes_i32(planes + 16 * (8 + n % 4) + lane);
    const auto low = V::and_i32(V::shr_i32(nibbles, n < 8 ? 0 : 4), 15);
    const auto high = V::and_i32(V::shr_i32(pairs, 2 * static_cast<int>(n / 4)), 3);
    const auto code = V::sub_i32(V::or_i32(low, V::template shl_i32<4>(high)), 32);
    return V::mul(Base::f16(p + 1728, lane), V::to_float(code));
  }
};

template <class V>
struct DecodeTQ2_0 : DecoderBase<V, 256, 66> {
  using Base = DecoderBase<V, 256, 66>;
  static constexpr int kMaxCode = 3, kZero = 1;
  static constexpr size_t kPhases = 4;
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t b, size_t lane, typename V::B out[8]) {
    const uint8_t* plane = p + 512 * (b / 4);
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) {
      out[j] = V::template shr_and<2 * phase>(Base::group(plane, j, lane), 3);
    }
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 1024, lane);
  }
};

template <class V>
struct DecodeTQ1_0 : DecoderBase<V, 256, 54> {
  using Base = DecoderBase<V, 256, 54>;
  static constexpr int kMaxCode = 3, kZero = 1;
  static constexpr size_t kPhases = 8;
  // Where the 4 values of group g (of 64) lie: 32 bytes hold 160 values, 16 bytes the next 80, and
  // 4 bytes the last 16; byte m of a run of w holds values m, m + w, m + 2w, ... as base-3 digits.
  template <size_t phase>
  static FATHOM_INLINE void codes(const uint8_t* p, size_t, size_t lane, typename V::B out[8]) {
    constexpr int kPower[5] = {1, 3, 9, 27, 81};
    FATHOM_UNROLL
    for (size_t j = 0; j < 8; ++j) {
      const size_t g = 8 * phase + j;
      if (g < 40) {
        out[j] = V::trit(Base::group(p, g % 8, lane), kPower[g / 8]);
      } else if (g < 60) {
        out[j] = V::trit(Base::group(p, 8 + (g - 40) % 4, lane), kPower[(g - 40) / 4]);
      } else {
        out[j] = V::trit(Base::group(p, 12, lane), kPower[g - 60]);
      }
    }
  }
  template <size_t half>
  static FATHOM_INLINE typename V::F scale(const uint8_t* p, size_t, size_t lane) {
    return Base::f16(p + 832, lane);
  }
};

}  // namespace fathom::kernel
