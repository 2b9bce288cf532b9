// The matrix product of every weight format for one vector type.
#pragma once

#include "base/tensor_type.h"
#include "kernel/generic/matmul_float.h"
#include "kernel/generic/matmul_int.h"

namespace fathom::kernel {

template <class V>
MatmulFn matmul_of(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return matmul_float<V, FloatF32<V>>;
    case TensorType::kF16:
      return matmul_float<V, FloatF16<V>>;
    case TensorType::kBF16:
      return matmul_float<V, FloatBF16<V>>;
    case TensorType::kQ4_0:
      return matmul_int<V, DecodeQ4_0<V>>;
    case TensorType::kQ4_1:
      return matmul_int<V, DecodeQ4_1<V>>;
    case TensorType::kQ5_0:
      return matmul_int<V, DecodeQ5_0<V>>;
    case TensorType::kQ5_1:
      return matmul_int<V, DecodeQ5_1<V>>;
    case TensorType::kQ8_0:
      return matmul_int<V, DecodeQ8_0<V>>;
    case TensorType::kQ2_K:
      return matmul_int<V, DecodeQ2_K<V>>;
    case TensorType::kQ3_K:
      return matmul_int<V, DecodeQ3_K<V>>;
    case TensorType::kQ4_K:
      return matmul_int<V, DecodeQ4_K<V>>;
    case TensorType::kQ5_K:
      return matmul_int<V, DecodeQ5_K<V>>;
    case TensorType::kQ6_K:
      return matmul_int<V, DecodeQ6_K<V>>;
    case TensorType::kIQ4_NL:
      return matmul_int<V, DecodeIQ4_NL<V>>;
    case TensorType::kIQ4_XS:
      return matmul_int<V, DecodeIQ4_XS<V>>;
    case TensorType::kMXFP4:
      return matmul_int<V, DecodeMXFP4<V>>;
    case TensorType::kTQ1_0:
      return matmul_int<V, DecodeTQ1_0<V>>;
    case TensorType::kTQ2_0:
      return matmul_int<V, DecodeTQ2_0<V>>;
  }
  return nullptr;
}

}  // namespace fathom::kernel
