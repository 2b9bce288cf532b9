// A page's planes as BF16 kernels read them, whatever their format.
#pragma once

#include "kernel/avx512bf16/pairs.h"

namespace fathom::kernel {

// A page of which FETCH chose a few keys is read in parts of 16 slots: these are a vector of every
// pair of channels, and lie together as values. Of coded pages all is read.
constexpr size_t kPartSlots = 16, kParts = kPageTokens / kPartSlots;
constexpr unsigned kAllParts = (1u << kParts) - 1;
FATHOM_INLINE unsigned parts_of(const PageView& page) {
  if (is_coded(page.k_format) || is_coded(page.v_format)) return kAllParts;
  unsigned parts = 0, count = 0;
  for (size_t part = 0; part < kParts; ++part) {
    const bool any = (page.slots >> (part * kPartSlots) & 0xffff) != 0;
    parts |= unsigned{any} << part;
    count += any;
  }
  return count <= kParts / 2 ? parts : kAllParts;
}

// One plane of a page: as it lies, or coded, and then perhaps copied to pairs first. A copy pays
// once several blocks of rows share the page; its numbers are those that reading codes gives.
struct ReadPlane {
  KvFormat format;
  const void* data;
  CodedPlane coded;
  const uint32_t* copy;
};

constexpr float kUnsignedLevels[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr float kSignedLevels[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
FATHOM_INLINE const float* levels_of(KvFormat format) {
  switch (format) {
    case KvFormat::kNf4:
      return kNf4Levels;
    case KvFormat::kFp4:
      return kFp4Levels;
    case KvFormat::kBfp4:
      return kSignedLevels;
    default:
      return kUnsignedLevels;
  }
}

template <class Fn>
FATHOM_INLINE void with_codes(const ReadPlane& p, size_t lanes, Fn fn) {
  const uint8_t* codes = static_cast<const uint8_t*>(p.data);
  switch (code_bits(p.format)) {
    case 8:
      return fn(BytePairs(codes, lanes));
    case 4:
      return fn(TablePairs<4>(codes, lanes, levels_of(p.format)));
    default:
      return fn(TablePairs<2>(codes, lanes, levels_of(p.format)));
  }
}
template <class Fn>
FATHOM_INLINE void with_reader(const ReadPlane& p, size_t lanes, Fn fn) {
  if (!is_coded(p.format)) return fn(PlainPairs{static_cast<const uint32_t*>(p.data), lanes});
  if (p.copy) return fn(PlainPairs{p.copy, lanes});
  with_codes(p, lanes, fn);
}

// Columns of a pair of lines, as many at once as there are.
template <class Reader>
FATHOM_INLINE void copy_pair(const Reader& reader, size_t first, size_t k, size_t lanes,
                             uint32_t* out) {
  size_t lane = 0;
  for (; lane + 64 <= lanes; lane += 64) {
    __m512i x[4];
    reader.load(first, k, lane, x);
    for (size_t j = 0; j < 4; ++j) _mm512_storeu_si512(out + lane + 16 * j, x[j]);
  }
  for (; lane < lanes; lane += 16) {
    __m512i x[1];
    reader.load(first, k, lane, x);
    _mm512_storeu_si512(out + lane, x[0]);
  }
}

FATHOM_INLINE void copy_pairs(const ReadPlane& p, uint32_t* out) {
  const PlaneShape shape = p.coded.layout->shape;
  with_codes(p, shape.lanes, [&]<class Reader>(const Reader& reader) FATHOM_LAMBDA_INLINE {
    for (size_t pair = 0; pair < (shape.lines + 1) / 2; ++pair) {
      const size_t k = pair % Reader::kStep;
      copy_pair(reader, pair - k, k, shape.lanes, out + pair * shape.lanes);
    }
  });
}

// What planes of one kind have in common; worked out anew where the format changes.
struct PlaneKind {
  KvFormat format;
  size_t dim, bytes;
  CodeLayout layout;

  FATHOM_INLINE PlaneKind(KvFormat format_, Plane plane, size_t dim_)
      : format(format_),
        dim(dim_),
        bytes(plane_bytes(format_, plane, dim_)),
        layout(format_, plane, dim_) {}
  FATHOM_INLINE bool is(KvFormat format_, size_t dim_) const {
    return format_ == format && dim_ == dim;
  }
};

// Where a plane's numbers go, and its pairs, if they are to be copied.
struct PlaneRoom {
  float* numbers;
  uint32_t* copy;
};

FATHOM_INLINE ReadPlane open_plane(const PlaneKind& kind, const void* data, PlaneRoom room) {
  ReadPlane out{kind.format, data, {&kind.layout, nullptr, nullptr}, nullptr};
  if (!is_coded(kind.format)) return out;
  if (kind.layout.by_lane() || kind.layout.number_bytes == 1) {
    out.coded = CodedPlane::open<Avx512>(kind.layout, data, room.numbers);
  } else {
    out.coded.codes = static_cast<const uint8_t*>(data);  // fold_lines() reads the numbers
  }
  if (room.copy != nullptr) {
    copy_pairs(out, room.copy);
    out.copy = room.copy;
  }
  return out;
}

struct ReadPage {
  const PageView* view = nullptr;
  ReadPlane keys = {}, values = {};
  bool whole = false;          // all rows see all of it
  unsigned parts = kAllParts;  // of 16 slots that are read
  PageAhead ahead = {};
};

// How often reading `pairs` pairs of lines of a plane asks for what comes next.
FATHOM_INLINE size_t steps_of(KvFormat format, size_t pairs) {
  if (!is_coded(format)) return pairs;
  const size_t step = code_bits(format) == 8 ? 2 : 16 / static_cast<size_t>(code_bits(format));
  return (pairs + step - 1) / step;
}

// Both planes of a page.
struct PageKind {
  PlaneKind keys, values;

  FATHOM_INLINE PageKind(const AttendArgs& a, const PageView& page)
      : keys(page.k_format, Plane::kKeys, page.key_dim(a.head_dim)),
        values(page.v_format, Plane::kValues, a.head_dim) {}
  FATHOM_INLINE bool fits(const AttendArgs& a, const PageView& page) const {
    return keys.is(page.k_format, page.key_dim(a.head_dim)) && values.is(page.v_format, a.head_dim);
  }
};

// Asks for the parts of a page that are read.
FATHOM_INLINE void prefetch_parts(const AttendArgs& a, const PageView& page, unsigned parts) {
  const char* k = static_cast<const char*>(page.k);
  const char* v = static_cast<const char*>(page.v);
  const size_t bytes = kPartSlots * padded_head_dim(a.head_dim) * sizeof(uint16_t);
  for (size_t part = 0; part < kParts; ++part) {
    if ((parts >> part & 1) == 0) continue;
    for (size_t pair = 0; pair < (a.key_channels() + 1) / 2; ++pair) {
      __builtin_prefetch(k + (pair * kPageTokens + part * kPartSlots) * sizeof(uint32_t), 0, 2);
    }
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(v + part * bytes + at, 0, 2);
  }
}

// Spreads the requests for the next page over the steps through this one.
FATHOM_INLINE PageAhead look_ahead(const AttendArgs& a, const PageView& next,
                                   const PageKind& kind) {
  const size_t parts = (padded_head_dim(a.head_dim) + 63) / 64;
  const auto asks = [&](const PageKind& other) FATHOM_LAMBDA_INLINE {
    return PageAhead{
        spread(next.k, other.keys.bytes, steps_of(kind.keys.format, (a.key_channels() + 1) / 2)),
        spread(next.v, other.values.bytes, steps_of(kind.values.format, kPageTokens / 2) * parts)};
  };
  return kind.fits(a, next) ? asks(kind) : asks(PageKind(a, next));
}

}  // namespace fathom::kernel
