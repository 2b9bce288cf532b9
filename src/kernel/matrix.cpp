#include "kernel/matrix.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernel/block_formats.h"

namespace fathom::kernel {
namespace {

enum class PieceKind : uint8_t { kBytes, kNibbles, kBits };

// A run of a row's block that is interleaved in one way.
struct Piece {
  PieceKind kind;
  uint8_t width;    // kBytes: bytes that stay together
  uint16_t offset;  // in the file's block
  uint16_t bytes;   // of one row
};

struct PackLayout {
  TensorType type;
  uint8_t pieces;
  Piece piece[4];
};

constexpr Piece bytes(uint8_t width, uint16_t offset, uint16_t count) {
  return {PieceKind::kBytes, width, offset, count};
}
constexpr Piece nibbles(uint16_t offset) { return {PieceKind::kNibbles, 0, offset, 4}; }
constexpr Piece bits(uint16_t offset) { return {PieceKind::kBits, 0, offset, 32}; }

// The one place that knows the order of pieces; kernel/generic/decoders.h reads it back.
constexpr PackLayout kPackLayouts[] = {
    {TensorType::kF32, 1, {bytes(4, 0, 4)}},
    {TensorType::kF16, 1, {bytes(2, 0, 2)}},
    {TensorType::kBF16, 1, {bytes(4, 0, 4)}},  // pairs of values
    {TensorType::kQ4_0, 2, {bytes(4, 2, 16), bytes(2, 0, 2)}},
    {TensorType::kQ4_1, 2, {bytes(4, 4, 16), bytes(2, 0, 4)}},
    {TensorType::kQ5_0, 3, {bytes(4, 6, 16), nibbles(2), bytes(2, 0, 2)}},
    {TensorType::kQ5_1, 3, {bytes(4, 8, 16), nibbles(4), bytes(2, 0, 4)}},
    {TensorType::kQ8_0, 2, {bytes(4, 2, 32), bytes(2, 0, 2)}},
    {TensorType::kIQ4_NL, 2, {bytes(4, 2, 16), bytes(2, 0, 2)}},
    {TensorType::kMXFP4, 2, {bytes(4, 1, 16), bytes(1, 0, 1)}},
    {TensorType::kQ2_K, 3, {bytes(4, 16, 64), bytes(1, 0, 16), bytes(2, 80, 4)}},
    {TensorType::kQ3_K, 4, {bytes(4, 32, 64), bits(0), bytes(1, 96, 12), bytes(2, 108, 2)}},
    {TensorType::kQ4_K, 3, {bytes(4, 16, 128), bytes(1, 4, 12), bytes(2, 0, 4)}},
    {TensorType::kQ5_K, 4, {bytes(4, 48, 128), bits(16), bytes(1, 4, 12), bytes(2, 0, 4)}},
    {TensorType::kQ6_K,
     4,
     {bytes(4, 0, 128), bytes(4, 128, 64), bytes(1, 192, 16), bytes(2, 208, 2)}},
    {TensorType::kIQ4_XS, 4, {bytes(4, 8, 128), bytes(1, 4, 4), bytes(2, 2, 2), bytes(2, 0, 2)}},
    {TensorType::kTQ1_0, 2, {bytes(4, 0, 52), bytes(2, 52, 2)}},
    {TensorType::kTQ2_0, 2, {bytes(4, 0, 64), bytes(2, 64, 2)}},
};

const PackLayout& layout_of(TensorType type) {
  for (const PackLayout& layout : kPackLayouts) {
    if (layout.type == type) return layout;
  }
  FATHOM_CHECK(!"a tensor type without a pack layout");
  return kPackLayouts[0];
}

template <size_t W>
void interleave(const std::byte* row, size_t count, size_t lane, std::byte* out) {
  for (size_t e = 0; e < count; ++e) {
    std::memcpy(out + (e * kTileRows + lane) * W, row + e * W, W);
  }
}
template <size_t W>
void deinterleave(const std::byte* in, size_t count, size_t lane, std::byte* row) {
  for (size_t e = 0; e < count; ++e) {
    std::memcpy(row + e * W, in + (e * kTileRows + lane) * W, W);
  }
}

void put_bits(std::byte* masks, size_t index, size_t lane, unsigned four) {
  uint64_t mask;
  std::memcpy(&mask, masks + 8 * index, 8);
  mask |= uint64_t{four} << (4 * lane);
  std::memcpy(masks + 8 * index, &mask, 8);
}
unsigned get_bits(const std::byte* masks, size_t index, size_t lane) {
  uint64_t mask;
  std::memcpy(&mask, masks + 8 * index, 8);
  return static_cast<unsigned>(mask >> (4 * lane)) & 15u;
}

void pack_bits(const std::byte* row, size_t lane, std::byte* out) {
  for (unsigned b = 0; b < 8; ++b) {
    for (size_t j = 0; j < 8; ++j) {
      unsigned four = 0;
      for (size_t i = 0; i < 4; ++i) {
        four |= (std::to_integer<unsigned>(row[4 * j + i]) >> b & 1u) << i;
      }
      put_bits(out, b * 8 + j, lane, four);
    }
  }
}
void unpack_bits(const std::byte* in, size_t lane, std::byte* row) {
  std::fill_n(row, 32, std::byte{0});
  for (unsigned b = 0; b < 8; ++b) {
    for (size_t j = 0; j < 8; ++j) {
      const unsigned four = get_bits(in, b * 8 + j, lane);
      for (size_t i = 0; i < 4; ++i) {
        row[4 * j + i] |= std::byte((four >> i & 1u) << b);
      }
    }
  }
}

// One row's piece into its lane. `out` is zero where nothing was written yet.
void pack_piece(const Piece& p, size_t count, const std::byte* row, size_t lane, std::byte* out) {
  switch (p.kind) {
    case PieceKind::kBytes:
      if (p.width == 4) return interleave<4>(row, count / 4, lane, out);
      if (p.width == 2) return interleave<2>(row, count / 2, lane, out);
      return interleave<1>(row, count, lane, out);
    case PieceKind::kNibbles:
      for (size_t n = 0; n < 8; ++n) {
        put_bits(out, n, lane, std::to_integer<unsigned>(row[n / 2]) >> (n % 2 * 4) & 15u);
      }
      return;
    case PieceKind::kBits:
      return pack_bits(row, lane, out);
  }
}

void unpack_piece(const Piece& p, size_t count, const std::byte* in, size_t lane, std::byte* row) {
  switch (p.kind) {
    case PieceKind::kBytes:
      if (p.width == 4) return deinterleave<4>(in, count / 4, lane, row);
      if (p.width == 2) return deinterleave<2>(in, count / 2, lane, row);
      return deinterleave<1>(in, count, lane, row);
    case PieceKind::kNibbles:
      for (size_t n = 0; n < 8; n += 2) {
        row[n / 2] = std::byte(get_bits(in, n, lane) | get_bits(in, n + 1, lane) << 4);
      }
      return;
    case PieceKind::kBits:
      return unpack_bits(in, lane, row);
  }
}

// Calls fn(piece, bytes, offset in the row, offset in the tile) over a row. A format of one piece
// is one long piece: its blocks follow each other in both layouts.
template <class Fn>
void for_each_piece(TensorType type, size_t row_bytes, Fn fn) {
  const PackLayout& layout = layout_of(type);
  if (layout.pieces == 1) return fn(layout.piece[0], row_bytes, size_t{0}, size_t{0});
  const size_t block_bytes = info(type).block_bytes;
  for (size_t block = 0; block < row_bytes; block += block_bytes) {
    size_t at = block * kTileRows;
    for (size_t i = 0; i < layout.pieces; ++i) {
      const Piece& p = layout.piece[i];
      fn(p, size_t{p.bytes}, block + p.offset, at);
      at += p.bytes * kTileRows;
    }
  }
}

}  // namespace

Matrix::Matrix(TensorType type, size_t rows, size_t columns)
    : type_(type), rows_(rows), columns_(columns), row_bytes_(info(type).row_bytes(columns)) {
  FATHOM_CHECK(columns % info(type).block_values == 0);
  FATHOM_CHECK(type != TensorType::kBF16 || columns % 2 == 0);
  data_ = Buffer<std::byte>(tiles() * tile_bytes());
}

void Matrix::pack_tile(size_t t, std::span<const std::byte> rows) {
  FATHOM_DCHECK(rows.size() == rows_ * row_bytes_);
  std::byte* out = data_.data() + t * tile_bytes();
  const size_t first = t * kTileRows;
  const size_t lanes = std::min(kTileRows, rows_ - first);
  for_each_piece(type_, row_bytes_,
                 [&](const Piece& p, size_t count, size_t row_offset, size_t tile_offset) {
                   for (size_t lane = 0; lane < lanes; ++lane) {
                     const std::byte* row = rows.data() + (first + lane) * row_bytes_;
                     pack_piece(p, count, row + row_offset, lane, out + tile_offset);
                   }
                 });
}

void Matrix::unpack_row(size_t row, std::span<std::byte> out) const {
  FATHOM_CHECK(row < rows_ && out.size() == row_bytes_);
  const std::byte* in = tile(row / kTileRows);
  for_each_piece(
      type_, row_bytes_, [&](const Piece& p, size_t count, size_t row_offset, size_t tile_offset) {
        unpack_piece(p, count, in + tile_offset, row % kTileRows, out.data() + row_offset);
      });
}

void Matrix::dequantize_row(size_t row, std::span<float> out, std::span<std::byte> scratch) const {
  unpack_row(row, scratch.first(row_bytes_));
  kernel::dequantize_row(type_, scratch.data(), out);
}

}  // namespace fathom::kernel
