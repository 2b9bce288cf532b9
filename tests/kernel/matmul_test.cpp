#include "kernel/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "kernel/block_formats.h"
#include "kernel/cases.h"
#include "kernel/kernels.h"

namespace fathom::kernel {
namespace {

// A matrix in the file's format and packed, and quantised inputs for it.
struct Problem {
  std::vector<std::byte> file;
  Matrix weights;
  std::vector<float> x;
  ActivationBuffer buffer;
  Activations activations;

  Problem(TensorType type, const MatmulCase& c, uint64_t seed) : Problem(type, c) {
    std::mt19937_64 rng(seed);
    std::normal_distribution<float> normal;
    std::vector<float> row(c.columns);
    for (size_t r = 0; r < c.rows; ++r) {
      for (float& w : row) w = normal(rng);
      quantize_row(type, row, file.data() + r * weights.row_bytes());
    }
    for (float& v : x) v = normal(rng) * (rng() % 50 == 0 ? 20.0f : 1.0f);
    finish();
  }

  Problem(TensorType type, const MatmulCase& c)
      : file(c.rows * info(type).row_bytes(c.columns)),
        weights(type, c.rows, c.columns),
        x(c.tokens * c.columns) {
    activations = buffer.view(x.data(), c.tokens, c.columns);
  }

  // Packs what was written to `file` and derives the forms of x.
  void finish() {
    for (size_t t = 0; t < weights.tiles(); ++t) weights.pack_tile(t, file);
    const size_t k = activations.k;
    for (size_t t = 0; t < activations.tokens; ++t) {
      scalar_kernels().elementwise.to_bfloat(&x[t * k], k, activations.bf16 + t * k);
      if (k % 32 == 0) {
        scalar_kernels().elementwise.quantize({&x[t * k], k, activations.codes + t * k,
                                               activations.scales + t * (k / 32),
                                               activations.sums + t * (k / 16)});
      }
    }
  }

  float activation(size_t token, size_t i) const {
    const Activations& a = activations;
    switch (act_form(weights.type())) {
      case ActForm::kFloat:
        return x[token * a.k + i];
      case ActForm::kBFloat:
        return to_float(a.bf16[token * a.k + i]);
      default:
        return a.codes[token * a.k + i] * a.scales[token * (a.k / 32) + i / 32];
    }
  }
};

std::vector<float> run(const Kernels& kernels, const Problem& p, size_t tokens,
                       size_t tiles_a_call) {
  const size_t rows = p.weights.rows();
  // NaN where nothing was written; one extra row of guard values.
  std::vector<float> y((tokens + 1) * rows, std::numeric_limits<float>::quiet_NaN());
  Buffer<std::byte> scratch(matmul_scratch_bytes(p.weights.columns()));
  MatmulArgs args{.weights = &p.weights,
                  .x = &p.activations,
                  .y = y.data(),
                  .y_stride = rows,
                  .scratch = scratch.data()};
  args.token_end = tokens;
  for (size_t t = 0; t < p.weights.tiles(); t += tiles_a_call) {
    args.tile_begin = t;
    args.tile_end = std::min(p.weights.tiles(), t + tiles_a_call);
    kernels.matmul(p.weights.type())(args);
  }
  for (size_t r = 0; r < rows; ++r) EXPECT_TRUE(std::isnan(y[tokens * rows + r]));
  y.resize(tokens * rows);
  return y;
}

// Against the product of the dequantised weights and activations in double. A chain of n float
// operations on terms of absolute sum S is off by at most n eps S; two more roundings are in the
// scales. BF16 dot products round twice a pair.
void expect_right(const Kernels& kernels, const Problem& p, const std::string& what) {
  const size_t rows = p.weights.rows(), k = p.weights.columns(), tokens = p.activations.tokens;
  const std::vector<float> y = run(kernels, p, tokens, p.weights.tiles());
  std::vector<float> row(k);
  const bool blocks = act_form(p.weights.type()) == ActForm::kInt8;
  const double eps = std::numeric_limits<float>::epsilon();
  for (size_t r = 0; r < rows; ++r) {
    dequantize_row(p.weights.type(), p.file.data() + r * p.weights.row_bytes(), row);
    for (size_t t = 0; t < tokens; ++t) {
      double want = 0, size = 0;
      for (size_t i = 0; i < k; ++i) {
        const double term = double{row[i]} * p.activation(t, i);
        want += term;
        size += std::fabs(term);
      }
      // Minimums are subtracted from sums of unsigned codes: the terms of the chain are larger than
      // the values' own. Twice covers every format here.
      const double steps = blocks ? 2.0 * double(k) / 16 + 8 : double(k) + 2;
      ASSERT_NEAR(y[t * rows + r], want, 2 * steps * eps * size + 1e-30)
          << what << " row " << r << " token " << t;
    }
  }
}

class Matmul : public testing::TestWithParam<const Kernels*> {
 protected:
  void SetUp() override {
    if (!GetParam()->runs_here()) GTEST_SKIP() << "this processor lacks " << GetParam()->name;
  }
};

TEST_P(Matmul, EqualsTheDoubleProduct) {
  for (const TensorTypeInfo& type : all_tensor_types()) {
    for (const MatmulCase& c : kMatmulCases) {
      const Problem p(type.type, c, 7);
      expect_right(*GetParam(), p, fmt::format("{} {} {}", GetParam()->name, type.name, c.name));
    }
  }
}

// Whatever bits a file holds: random blocks reach every code, scale and minimum.
TEST_P(Matmul, EqualsTheDoubleProductOnRandomBits) {
  for (const TensorTypeInfo& type : all_tensor_types()) {
    if (!type.quantized()) continue;
    for (const size_t tokens : {1, 20}) {
      Problem p(type.type, {"bits", 37, 1024, tokens});
      std::mt19937_64 rng(tokens);
      for (std::byte& b : p.file) b = std::byte(rng() & 255);
      // Halves with all exponent bits set are infinities: clear the top exponent bit everywhere a
      // half may lie. Other bytes lose nothing that the remaining patterns do not show.
      std::vector<float> row(1024);
      for (size_t r = 0; r < 37; ++r) {
        std::byte* bits = p.file.data() + r * p.weights.row_bytes();
        bool finite = false;
        while (!finite) {
          dequantize_row(type.type, bits, row);
          finite = true;
          for (const float w : row) finite &= std::fabs(w) < 1e6f;
          if (!finite) {
            for (size_t i = 0; i < p.weights.row_bytes(); ++i) bits[i] = std::byte(rng() & 255);
            for (size_t i = 0; i < p.weights.row_bytes(); i += type.block_bytes) {
              // every format's halves lie in the first or the last four bytes of its block
              for (const size_t at : {size_t{1}, size_t{3}, size_t{type.block_bytes} - 1,
                                      size_t{type.block_bytes} - 3}) {
                bits[i + at] &= std::byte{0xbb};
              }
              if (type.type == TensorType::kMXFP4) bits[i] = std::byte(rng() % 140);
            }
          }
        }
      }
      for (float& v : p.x) v = static_cast<float>(rng() % 255) - 127.0f;
      p.finish();
      expect_right(*GetParam(), p, fmt::format("{} {} bits", GetParam()->name, type.name));
    }
  }
}

// The largest sums an int8 product can reach, in both signs.
TEST_P(Matmul, ExtremeCodesDoNotOverflow) {
  for (const TensorTypeInfo& type : all_tensor_types()) {
    if (!type.quantized()) continue;
    for (const float sign : {1.0f, -1.0f}) {
      Problem p(type.type, {"extreme", 16, 2048, 17});
      std::vector<float> row(2048, sign);
      row[0] = -sign;
      for (size_t r = 0; r < 16; ++r) {
        quantize_row(type.type, row, p.file.data() + r * p.weights.row_bytes());
      }
      for (size_t i = 0; i < p.x.size(); ++i) p.x[i] = i / 2048 % 2 == 0 ? 127.0f : -127.0f;
      p.finish();
      expect_right(*GetParam(), p, fmt::format("{} {} extreme", GetParam()->name, type.name));
    }
  }
}

// One chain of the same operations an output: any batch and any split over threads give the same
// bits.
class VectorMatmul : public Matmul {};  // the scalar kernel has one path only
TEST_P(VectorMatmul, BitsDoNotDependOnBatchOrSplit) {
  for (const TensorTypeInfo& type : all_tensor_types()) {
    const Problem p(type.type, {"split", 100, 8448, 40}, 3);
    const std::vector<float> whole = run(*GetParam(), p, 40, 100);
    for (const size_t tokens : {1, 2, 3, 5, 7, 15, 16, 17, 33}) {
      for (const size_t tiles : {1, 2, 3}) {
        const std::vector<float> part = run(*GetParam(), p, tokens, tiles);
        ASSERT_EQ(0, std::memcmp(part.data(), whole.data(), part.size() * sizeof(float)))
            << GetParam()->name << " " << type.name << " tokens " << tokens << " tiles " << tiles;
      }
    }
  }
}

std::vector<const Kernels*> tables() { return {all_kernels().begin(), all_kernels().end()}; }
std::vector<const Kernels*> vector_tables() {
  std::vector<const Kernels*> all = tables();
  std::erase(all, &scalar_kernels());
  return all;
}
std::string table_name(const testing::TestParamInfo<const Kernels*>& info) {
  return std::string(info.param->name);
}
INSTANTIATE_TEST_SUITE_P(EachIsa, Matmul, testing::ValuesIn(tables()), table_name);
INSTANTIATE_TEST_SUITE_P(EachIsa, VectorMatmul, testing::ValuesIn(vector_tables()), table_name);

TEST(Matrix, PackingIsAPermutation) {
  std::mt19937_64 rng(1);
  for (const TensorTypeInfo& type : all_tensor_types()) {
    for (const size_t rows : {1, 16, 35}) {
      Matrix m(type.type, rows, 512);
      std::vector<std::byte> file(rows * m.row_bytes());
      for (std::byte& b : file) b = std::byte(rng() & 255);
      for (size_t t = 0; t < m.tiles(); ++t) m.pack_tile(t, file);
      EXPECT_EQ(m.bytes(), (rows + 15) / 16 * 16 * m.row_bytes());
      std::vector<std::byte> row(m.row_bytes());
      for (size_t r = 0; r < rows; ++r) {
        m.unpack_row(r, row);
        EXPECT_EQ(0, std::memcmp(row.data(), file.data() + r * row.size(), row.size()))
            << type.name << " row " << r;
      }
    }
  }
}

TEST(Kernels, AForcedTableIsTheOneThatRuns) {
  for (const Kernels* table : all_kernels()) {
    if (table->runs_here()) {
      EXPECT_EQ(pick_kernels(table->name).name.substr(0, table->name.size()), table->name);
    }
  }
  EXPECT_THROW(pick_kernels("mmx"), Error);
}

}  // namespace
}  // namespace fathom::kernel
