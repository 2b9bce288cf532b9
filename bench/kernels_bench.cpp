// Kernels on the shapes of tests/kernel/cases.h, one thread: speed, and its share of the limit.
//
// MAC/s is multiply-adds a second; GB/s counts the bytes a kernel has to read once. `make bench`.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <random>
#include <vector>

#include "base/tensor_type.h"
#include "kernel/block_formats.h"
#include "kernel/cases.h"
#include "kernel/kernels.h"
#include "kernel/page_code.h"

namespace fathom::kernel {
namespace {

struct MatmulProblem {
  Matrix weights;
  std::vector<float> x, y;
  ActivationBuffer buffer;
  Activations activations;
  Buffer<std::byte> scratch;

  MatmulProblem(TensorType type, const MatmulCase& c)
      : weights(type, c.rows, c.columns),
        x(c.tokens * c.columns),
        y(c.tokens * c.rows),
        scratch(matmul_scratch_bytes(c.columns)) {
    std::mt19937_64 rng(1);
    std::normal_distribution<float> normal;
    std::vector<std::byte> file(c.rows * weights.row_bytes());
    std::vector<float> row(c.columns);
    for (float& w : row) w = normal(rng);
    for (size_t r = 0; r < c.rows; ++r)
      quantize_row(type, row, file.data() + r * weights.row_bytes());
    for (size_t t = 0; t < weights.tiles(); ++t) weights.pack_tile(t, file);
    for (float& v : x) v = normal(rng);
    activations = buffer.view(x.data(), c.tokens, c.columns);
    const ElementwiseKernels& ops = default_kernels().elementwise;
    for (size_t t = 0; t < c.tokens; ++t) {
      const size_t k = c.columns;
      ops.to_bfloat(&x[t * k], k, activations.bf16 + t * k);
      ops.quantize({&x[t * k], k, activations.codes + t * k, activations.scales + t * (k / 32),
                    activations.sums + t * (k / 16)});
    }
  }
};

void run_matmul(benchmark::State& state, TensorType type, MatmulCase c) {
  MatmulProblem p(type, c);
  MatmulArgs args;
  args.weights = &p.weights;
  args.tile_end = p.weights.tiles();
  args.x = &p.activations;
  args.token_end = c.tokens;
  args.y = p.y.data();
  args.y_stride = c.rows;
  args.scratch = p.scratch.data();
  const MatmulFn fn = default_kernels().matmul(type);
  for (auto _ : state) {
    fn(args);
    benchmark::DoNotOptimize(p.y.data());
  }
  using benchmark::Counter;
  state.counters["MAC/s"] = Counter(c.macs(), Counter::kIsIterationInvariantRate);
  state.counters["B/s"] = Counter(double(p.weights.bytes()), Counter::kIsIterationInvariantRate);
}

size_t plane_bytes(KvFormat format, Plane plane, size_t head_dim) {
  if (is_coded(format)) return coded_bytes(format, plane, head_dim);
  const PlaneShape shape = plane_shape(plane, head_dim);
  return shape.lines * shape.lanes * (format == KvFormat::kF32 ? 4 : 2);
}

void run_attend(benchmark::State& state, KvFormat format, AttendCase c) {
  const size_t v_dim = padded_head_dim(c.head_dim);
  const size_t pages = (c.keys + kPageTokens - 1) / kPageTokens;
  const size_t k_bytes = plane_bytes(format, Plane::kKeys, c.head_dim);
  const size_t page_bytes = k_bytes + plane_bytes(format, Plane::kValues, c.head_dim);
  Buffer<std::byte> memory(pages * page_bytes);
  std::vector<PageView> views(pages);
  for (size_t p = 0; p < pages; ++p) {
    std::byte* k = memory.data() + p * page_bytes;
    views[p] = {k,      k + k_bytes, int32_t(kPageTokens), int32_t(p * kPageTokens), nullptr,
                format, format};
  }
  std::vector<float> q(c.rows * c.head_dim, 0.1f), max(c.rows), sum(c.rows), out(c.rows * v_dim);
  std::vector<int32_t> positions(c.rows, int32_t(c.keys - 1));
  Buffer<std::byte> scratch(attend_scratch_bytes(c.head_dim));
  AttendArgs a;
  a.format = is_coded(format) ? default_kernels().native_kv : format;
  a.head_dim = c.head_dim;
  a.rows = c.rows;
  a.q = q.data();
  a.positions = positions.data();
  a.scale = 0.125f;
  a.pages = views.data();
  a.page_count = pages;
  a.state = {max.data(), sum.data(), out.data()};
  a.scratch = scratch.data();
  const AttendFn fn = default_kernels().attend(a.format);
  for (auto _ : state) {
    std::fill(max.begin(), max.end(), -1e30f);
    fn(a);
    benchmark::DoNotOptimize(out.data());
  }
  using benchmark::Counter;
  state.counters["MAC/s"] = Counter(c.macs(), Counter::kIsIterationInvariantRate);
  state.counters["B/s"] = Counter(double(memory.bytes()), Counter::kIsIterationInvariantRate);
}

void register_all() {
  for (const TensorTypeInfo& type : all_tensor_types()) {
    for (const MatmulCase& c : kMatmulBenchCases) {
      benchmark::RegisterBenchmark(fmt::format("matmul/{}/{}", type.name, c.name).c_str(),
                                   run_matmul, type.type, c)
          ->Unit(benchmark::kMicrosecond);
    }
  }
  const std::pair<KvFormat, const char*> formats[] = {
      {KvFormat::kF32, "f32"}, {KvFormat::kF16, "f16"},  {KvFormat::kBF16, "bf16"},
      {KvFormat::kQ8, "q8"},   {KvFormat::kQ4, "q4"},    {KvFormat::kQ2, "q2"},
      {KvFormat::kT4, "t4"},   {KvFormat::kT2, "t2"},    {KvFormat::kNf4, "nf4"},
      {KvFormat::kFp4, "fp4"}, {KvFormat::kBfp4, "bfp4"}};
  for (const auto& [format, name] : formats) {
    for (const AttendCase& c : kAttendBenchCases) {
      benchmark::RegisterBenchmark(fmt::format("attend/{}/{}", name, c.name).c_str(), run_attend,
                                   format, c)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace fathom::kernel

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("instruction set",
                              std::string(fathom::kernel::default_kernels().name));
  fathom::kernel::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
