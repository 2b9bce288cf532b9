// A weight matrix in the layout that matrix kernels read.
//
// Rows (outputs) are taken 16 at a time, a tile, and their blocks are interleaved so that a row is
// a SIMD lane: kernels never sum across lanes, and every output is one float chain over its blocks
// in ascending order, whatever the batch. Interleaving is a permutation of the file's bits: same
// values, same size, exactly invertible. The last tile is padded with zero rows.
//
//   tile t = rows 16t .. 16t+15, tile_bytes() long: its blocks in order of k; a block is the
//   concatenation of the format's pieces (kPackLayouts in matrix.cpp), each 16 rows wide:
//     bytes W : [element][row][W bytes]        codes in groups of 4 bytes, scales, sub-scales
//     nibbles : [nibble n] u64                 4 bits of each row (Q5_0, Q5_1 high bits)
//     bits    : [bit b][group j] u64           4 bits of each row (Q5_K, Q3_K high bits)
//
// The interleaving follows the idea of row-interleaved formats in ik_llama.cpp and gemm repacking
// in llama.cpp. Immutable after packing; safe to read from any thread. Owns its memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/tensor_type.h"

namespace fathom::kernel {

inline constexpr size_t kTileRows = 16;

class Matrix {
 public:
  Matrix() = default;
  // An empty matrix to be filled tile by tile. REQUIRES: columns are whole blocks; BF16: even.
  Matrix(TensorType type, size_t rows, size_t columns);

  TensorType type() const { return type_; }
  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  size_t tiles() const { return (rows_ + kTileRows - 1) / kTileRows; }
  size_t tile_bytes() const { return kTileRows * row_bytes_; }
  size_t bytes() const { return data_.size(); }
  const std::byte* tile(size_t t) const { return data_.data() + t * tile_bytes(); }

  // Packs rows [16t, ...) of a row-major matrix in the file's format. Tiles may be packed from
  // different threads. `rows` holds the whole matrix.
  void pack_tile(size_t t, std::span<const std::byte> rows);

  // The row in the file's format again. REQUIRES: out.size() == bytes of a row.
  void unpack_row(size_t row, std::span<std::byte> out) const;
  // The row as floats. `scratch` holds the bytes of a row.
  void dequantize_row(size_t row, std::span<float> out, std::span<std::byte> scratch) const;
  size_t row_bytes() const { return row_bytes_; }

 private:
  TensorType type_ = TensorType::kF32;
  size_t rows_ = 0;
  size_t columns_ = 0;
  size_t row_bytes_ = 0;
  Buffer<std::byte> data_;
};

}  // namespace fathom::kernel
