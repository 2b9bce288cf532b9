#include "kernel/page_code.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/half.h"

namespace fathom::kernel {
namespace {

bool has_levels(KvFormat format) { return format == KvFormat::kNf4 || format == KvFormat::kFp4; }
const float* levels_of(KvFormat format) {
  return format == KvFormat::kNf4 ? kNf4Levels : kFp4Levels;
}

// What a group's codes mean: x ~ code * scale + minimum.
struct Line {
  float scale = 0, minimum = 0;
};

// Scales below the smallest normal f16 would lose their bits; such a group is as good as constant.
constexpr float kLeastScale = 6.2e-5f;

struct Range {
  float low = INFINITY, high = -INFINITY;
  void add(float x) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
};

float to_f16(float x) { return to_float(to_half(std::clamp(x, -65504.0f, 65504.0f))); }

float top_code(KvFormat format) { return static_cast<float>((1 << code_bits(format)) - 1); }

// The biased exponent of a block's step, which is 2^-2 of its largest power of two.
int step_exponent(float peak) {
  return peak > 0 ? std::clamp(std::ilogb(peak) - 2 + 127, 1, 254) : 0;
}

// An integral zero point, so that 0 is one of the numbers. `minimum` is -scale * zero.
Line zero_point_line(KvFormat format, Range range, float clip) {
  const float scale = to_f16((range.high * clip - range.low * clip) / top_code(format));
  if (!(scale > 0)) return {0, to_f16(range.low)};
  return {scale, to_f16(-scale * std::nearbyint(-range.low * clip / scale))};
}

Line line_of(KvFormat format, Range range, float clip) {
  if (!(range.low <= range.high)) return {};
  const float peak = std::max(std::fabs(range.low), std::fabs(range.high));
  switch (format) {
    case KvFormat::kQ8: {
      const float scale = to_f16(peak / 127.0f);
      return {scale < kLeastScale && peak > 0 ? kLeastScale : scale, 0};
    }
    case KvFormat::kT4:
    case KvFormat::kT2:
      return zero_point_line(format, range, clip);
    case KvFormat::kNf4:
    case KvFormat::kFp4:
      return {to_f16(peak), 0};
    case KvFormat::kBfp4: {
      const int e = step_exponent(peak);
      return {e > 0 ? std::ldexp(1.0f, e - 127) : 0, 0};
    }
    default:
      return {to_f16((range.high - range.low) / top_code(format)), to_f16(range.low)};
  }
}

// The code of the nearest level, counting the midpoints between levels that are passed; halfway it
// is the one nearer to the first.
uint8_t nearest_level(KvFormat format, float x) {
  const float* levels = levels_of(format);
  const bool sign = format == KvFormat::kFp4;  // the first 8 are magnitudes
  const float at = sign ? std::fabs(x) : x;
  int code = 0;
  for (int i = 0; i + 1 < (sign ? 8 : 16); ++i) code += at > (levels[i] + levels[i + 1]) * 0.5f;
  return static_cast<uint8_t>(sign && x < 0 ? code + 8 : code);
}

uint8_t code_of(KvFormat format, Line line, float x) {
  const float t = line.scale > 0 ? x / line.scale : 0.0f;
  switch (format) {
    case KvFormat::kQ8:
      return static_cast<uint8_t>(std::clamp(std::nearbyint(t), -127.0f, 127.0f) + 128.0f);
    case KvFormat::kBfp4:
      return static_cast<uint8_t>(std::clamp(std::nearbyint(t), -8.0f, 7.0f) + 8.0f);
    case KvFormat::kNf4:
    case KvFormat::kFp4:
      return nearest_level(format, t);
    case KvFormat::kT4:
    case KvFormat::kT2: {
      const float zero = line.scale > 0 ? std::nearbyint(-line.minimum / line.scale) : 0.0f;
      return static_cast<uint8_t>(std::clamp(std::nearbyint(t) + zero, 0.0f, top_code(format)));
    }
    default: {
      const float q = line.scale > 0 ? std::nearbyint((x - line.minimum) / line.scale) : 0.0f;
      return static_cast<uint8_t>(std::clamp(q, 0.0f, top_code(format)));
    }
  }
}

// One of a coded plane's numbers, by its index.
void put_number(const CodeLayout& layout, uint8_t* plane, size_t index, float x) {
  uint8_t* numbers = plane + layout.code_bytes;
  if (layout.number_bytes == 1) {
    numbers[index] = static_cast<uint8_t>(x > 0 ? std::ilogb(x) + 127 : 0);
  } else {
    reinterpret_cast<Half*>(numbers)[index] = to_half(x);
  }
}
float get_number(const CodeLayout& layout, const uint8_t* plane, size_t index) {
  const uint8_t* numbers = plane + layout.code_bytes;
  if (layout.number_bytes == 2) return to_float(reinterpret_cast<const Half*>(numbers)[index]);
  return numbers[index] > 0 ? std::ldexp(1.0f, numbers[index] - 127) : 0;
}

// The byte a code lies in, and how far from its lowest bit.
struct Place {
  size_t byte;
  size_t shift;
};
Place place_of(const CodeLayout& layout, size_t line, size_t lane) {
  if (layout.bits == 8) return {(line / 2 * layout.shape.lanes + lane) * 2 + line % 2, 0};
  const size_t together = 32 / layout.bits;
  const size_t bit = line % 2 * 16 + line % together / 2 * layout.bits;
  return {(line / together * layout.shape.lanes + lane) * 4 + bit / 8, bit % 8};
}

}  // namespace

std::string_view format_name(KvFormat format) {
  constexpr std::string_view kNames[] = {"f32", "f16", "bf16", "q8",  "q4",  "q2",
                                         "t4",  "t2",  "nf4",  "fp4", "bfp4"};
  const auto index = static_cast<size_t>(format);
  FATHOM_CHECK(index < std::size(kNames));
  return kNames[index];
}

size_t coded_bytes(KvFormat format, Plane plane, size_t head_dim) {
  return CodeLayout(format, plane, head_dim).bytes();
}

void encode_plane(KvFormat format, Plane plane, size_t head_dim, const float* x, void* out,
                  float clip) {
  const CodeLayout layout(format, plane, head_dim);
  const PlaneShape shape = layout.shape;
  uint8_t* codes = static_cast<uint8_t*>(out);
  std::memset(codes, 0, layout.bytes());
  const auto [high, wide] = layout.group;
  for (size_t first_line = 0; first_line < shape.lines; first_line += high) {
    for (size_t first_lane = 0; first_lane < shape.lanes; first_lane += wide) {
      const size_t end_line = std::min(shape.lines, first_line + high);
      const size_t end_lane = std::min(shape.lanes, first_lane + wide);
      Range range;
      for (size_t l = first_line; l < end_line; ++l) {
        for (size_t i = first_lane; i < end_lane; ++i) range.add(x[l * shape.lanes + i]);
      }
      const Line line = line_of(format, range, clip);
      put_number(layout, codes, layout.number(0, first_line, first_lane), line.scale);
      if (layout.kinds == 2) {
        put_number(layout, codes, layout.number(1, first_line, first_lane), line.minimum);
      }
      for (size_t l = first_line; l < end_line; ++l) {
        for (size_t i = first_lane; i < end_lane; ++i) {
          const Place at = place_of(layout, l, i);
          const int code = code_of(format, line, x[l * shape.lanes + i]);
          codes[at.byte] = static_cast<uint8_t>(codes[at.byte] | code << at.shift);
        }
      }
    }
  }
}

int code_at(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
            size_t lane) {
  const CodeLayout layout(format, plane, head_dim);
  const Place at = place_of(layout, line, lane);
  return static_cast<const uint8_t*>(page)[at.byte] >> at.shift & ((1 << layout.bits) - 1);
}

float number_at(KvFormat format, Plane plane, size_t head_dim, const void* page,
                const GroupNumber& at) {
  const CodeLayout layout(format, plane, head_dim);
  return get_number(layout, static_cast<const uint8_t*>(page),
                    layout.number(at.kind, at.line, at.lane));
}

float decode_code(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
                  size_t lane) {
  const int code = code_at(format, plane, head_dim, page, line, lane);
  const float scale = number_at(format, plane, head_dim, page, {0, line, lane});
  if (format == KvFormat::kQ8) return static_cast<float>(code - 128) * scale;
  if (format == KvFormat::kBfp4) return static_cast<float>(code - 8) * scale;
  if (has_levels(format)) return levels_of(format)[code] * scale;
  return static_cast<float>(code) * scale +
         number_at(format, plane, head_dim, page, {1, line, lane});
}

namespace {

// Numbers of a plain plane; at(slot, channel) says where they are.
template <class At>
void plain_rows(KvFormat format, const void* data, size_t d, float* rows, At at) {
  const auto fill = [&](auto number) {
    for (size_t slot = 0; slot < kPageTokens; ++slot) {
      for (size_t c = 0; c < d; ++c) rows[slot * d + c] = number(at(slot, c));
    }
  };
  if (format == KvFormat::kF32) {
    fill([&](auto i) { return static_cast<const float*>(data)[i.plane]; });
  } else if (format == KvFormat::kF16) {
    fill([&](auto i) { return to_float(static_cast<const Half*>(data)[i.plane]); });
  } else {
    fill([&](auto i) { return to_float(static_cast<const BFloat*>(data)[i.pair]); });
  }
}

struct PlainPlace {
  size_t plane, pair;
};

}  // namespace

namespace {

// Thin keys with zeros for the channels that are not there.
void thin_keys(const PageView& page, size_t d, float* rows) {
  const size_t n = page.channel_count;
  PageView thin = page;
  thin.channels = nullptr;
  std::vector<float> kept(kPageTokens * n);
  page_keys(thin, n, kept.data());
  std::fill_n(rows, kPageTokens * d, 0.0f);
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    for (size_t i = 0; i < n; ++i) rows[slot * d + page.channels[i]] = kept[slot * n + i];
  }
}

}  // namespace

void page_keys(const PageView& page, size_t d, float* rows) {
  if (page.channels) return thin_keys(page, d, rows);
  if (!is_coded(page.k_format)) {
    plain_rows(page.k_format, page.k, d, rows, [](size_t slot, size_t c) {
      return PlainPlace{c * kPageTokens + slot, (c / 2 * kPageTokens + slot) * 2 + c % 2};
    });
    return;
  }
  for (size_t i = 0; i < kPageTokens * d; ++i) {
    rows[i] = decode_code(page.k_format, Plane::kKeys, d, page.k, i % d, i / d);
  }
}

void page_values(const PageView& page, size_t d, float* rows) {
  const size_t width = padded_head_dim(d);
  if (!is_coded(page.v_format)) {
    plain_rows(page.v_format, page.v, d, rows, [width](size_t slot, size_t c) {
      return PlainPlace{slot * width + c, (slot / 2 * width + c) * 2 + slot % 2};
    });
    return;
  }
  for (size_t i = 0; i < kPageTokens * d; ++i) {
    rows[i] = decode_code(page.v_format, Plane::kValues, d, page.v, i / d, i % d);
  }
}

}  // namespace fathom::kernel
