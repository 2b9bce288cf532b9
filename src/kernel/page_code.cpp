#include "kernel/page_code.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/half.h"

namespace fathom::kernel {
namespace {

size_t lines_per_byte(KvFormat format) { return format == KvFormat::kQ4 ? 2 : 4; }

// Index of the scale that a value shares with its group; for kQ4 and kQ2, of the pair (s, m).
size_t group_of(KvFormat format, Plane plane, PlaneShape shape, size_t line, size_t lane) {
  if (format == KvFormat::kQ8 && plane == Plane::kKeys) {
    return line / kCodeGroup * shape.lanes + lane;
  }
  return line * ceil_div(shape.lanes, kCodeGroup) + lane / kCodeGroup;
}

size_t groups(KvFormat format, Plane plane, PlaneShape shape) {
  if (format == KvFormat::kQ8 && plane == Plane::kKeys) {
    return ceil_div(shape.lines, kCodeGroup) * shape.lanes;
  }
  return shape.lines * ceil_div(shape.lanes, kCodeGroup);
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

Line line_of(KvFormat format, Range range) {
  if (!(range.low <= range.high)) return {};
  const auto to_f16 = [](float x) { return to_float(to_half(std::clamp(x, -65504.0f, 65504.0f))); };
  if (format == KvFormat::kQ8) {
    const float peak = std::max(std::fabs(range.low), std::fabs(range.high));
    const float scale = to_f16(peak / 127.0f);
    return {scale < kLeastScale && peak > 0 ? kLeastScale : scale, 0};
  }
  const float top = format == KvFormat::kQ4 ? 15.0f : 3.0f;
  return {to_f16((range.high - range.low) / top), to_f16(range.low)};
}

uint8_t code_of(KvFormat format, Line line, float x) {
  if (format == KvFormat::kQ8) {
    const float q = line.scale > 0 ? std::nearbyint(x / line.scale) : 0.0f;
    return static_cast<uint8_t>(std::clamp(q, -127.0f, 127.0f) + 128.0f);
  }
  const float top = format == KvFormat::kQ4 ? 15.0f : 3.0f;
  const float q = line.scale > 0 ? std::nearbyint((x - line.minimum) / line.scale) : 0.0f;
  return static_cast<uint8_t>(std::clamp(q, 0.0f, top));
}

// Where a code lies and which bits of the byte it takes.
struct Place {
  size_t byte;
  int shift, mask;
};
Place place_of(KvFormat format, PlaneShape shape, size_t line, size_t lane) {
  if (format == KvFormat::kQ8) return {(line / 2 * shape.lanes + lane) * 2 + line % 2, 0, 255};
  const size_t n = lines_per_byte(format);
  const int bits = static_cast<int>(8 / n);
  return {line / n * shape.lanes + lane, static_cast<int>(line % n) * bits, (1 << bits) - 1};
}

}  // namespace

std::string_view format_name(KvFormat format) {
  constexpr std::string_view kNames[] = {"f32", "f16", "bf16", "q8", "q4", "q2"};
  return kNames[static_cast<size_t>(format)];
}

size_t coded_scales_offset(KvFormat format, Plane plane, size_t head_dim) {
  const PlaneShape shape = plane_shape(plane, head_dim);
  if (format == KvFormat::kQ8) return ceil_div(shape.lines, 2) * 2 * shape.lanes;
  return ceil_div(shape.lines, lines_per_byte(format)) * shape.lanes;
}

size_t coded_bytes(KvFormat format, Plane plane, size_t head_dim) {
  const size_t numbers =
      groups(format, plane, plane_shape(plane, head_dim)) * (format == KvFormat::kQ8 ? 1 : 2);
  return round_up(coded_scales_offset(format, plane, head_dim) + 2 * numbers, 64);
}

void encode_plane(KvFormat format, Plane plane, size_t head_dim, const float* x, void* out) {
  const PlaneShape shape = plane_shape(plane, head_dim);
  uint8_t* codes = static_cast<uint8_t*>(out);
  const size_t scales = coded_scales_offset(format, plane, head_dim);
  std::memset(codes, 0, coded_bytes(format, plane, head_dim));
  Half* numbers = reinterpret_cast<Half*>(codes + scales);
  const bool by_lane = format == KvFormat::kQ8 && plane == Plane::kKeys;
  const size_t high = by_lane ? kCodeGroup : 1, wide = by_lane ? 1 : kCodeGroup;
  for (size_t first_line = 0; first_line < shape.lines; first_line += high) {
    for (size_t first_lane = 0; first_lane < shape.lanes; first_lane += wide) {
      const size_t end_line = std::min(shape.lines, first_line + high);
      const size_t end_lane = std::min(shape.lanes, first_lane + wide);
      Range range;
      for (size_t l = first_line; l < end_line; ++l) {
        for (size_t i = first_lane; i < end_lane; ++i) range.add(x[l * shape.lanes + i]);
      }
      const Line line = line_of(format, range);
      const size_t group = group_of(format, plane, shape, first_line, first_lane);
      if (format == KvFormat::kQ8) {
        numbers[group] = to_half(line.scale);
      } else {
        numbers[2 * group] = to_half(line.scale);
        numbers[2 * group + 1] = to_half(line.minimum);
      }
      for (size_t l = first_line; l < end_line; ++l) {
        for (size_t i = first_lane; i < end_lane; ++i) {
          const Place at = place_of(format, shape, l, i);
          const int code = code_of(format, line, x[l * shape.lanes + i]);
          codes[at.byte] = static_cast<uint8_t>(codes[at.byte] | code << at.shift);
        }
      }
    }
  }
}

float decode_code(KvFormat format, Plane plane, size_t head_dim, const void* page, size_t line,
                  size_t lane) {
  const PlaneShape shape = plane_shape(plane, head_dim);
  const uint8_t* codes = static_cast<const uint8_t*>(page);
  const Half* numbers =
      reinterpret_cast<const Half*>(codes + coded_scales_offset(format, plane, head_dim));
  const size_t group = group_of(format, plane, shape, line, lane);
  const Place at = place_of(format, shape, line, lane);
  const float code = static_cast<float>(codes[at.byte] >> at.shift & at.mask);
  if (format == KvFormat::kQ8) return (code - 128.0f) * to_float(numbers[group]);
  return code * to_float(numbers[2 * group]) + to_float(numbers[2 * group + 1]);
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

void page_keys(const PageView& page, size_t d, float* rows) {
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
