// Attention by definition, page by page as the contract says, in plain loops.
#include <cmath>
#include <limits>

#include "base/half.h"
#include "kernel/page_code.h"
#include "kernel/scalar/tables.h"

namespace fathom::kernel {
namespace {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

// One number of a page, whatever its format: the one function here that knows the layouts.
float key(const AttendArgs& a, const PageView& page, size_t channel, size_t slot) {
  if (is_coded(page.k_format)) {
    return decode_code(page.k_format, Plane::kKeys, a.key_channels(), page.k, channel, slot);
  }
  const size_t plane = channel * kPageTokens + slot;
  const size_t pair = (channel / 2 * kPageTokens + slot) * 2 + channel % 2;
  switch (a.format) {
    case KvFormat::kF32:
      return static_cast<const float*>(page.k)[plane];
    case KvFormat::kF16:
      return to_float(static_cast<const Half*>(page.k)[plane]);
    case KvFormat::kBF16:
      return to_float(static_cast<const BFloat*>(page.k)[pair]);
    default:
      return 0;
  }
}

float value(const AttendArgs& a, const PageView& page, size_t slot, size_t channel) {
  if (is_coded(page.v_format)) {
    return decode_code(page.v_format, Plane::kValues, a.head_dim, page.v, slot, channel);
  }
  const size_t v_dim = padded_head_dim(a.head_dim);
  const size_t plane = slot * v_dim + channel;
  const size_t pair = (slot / 2 * v_dim + channel) * 2 + slot % 2;
  switch (a.format) {
    case KvFormat::kF32:
      return static_cast<const float*>(page.v)[plane];
    case KvFormat::kF16:
      return to_float(static_cast<const Half*>(page.v)[plane]);
    case KvFormat::kBF16:
      return to_float(static_cast<const BFloat*>(page.v)[pair]);
    default:
      return 0;
  }
}

bool visible(const AttendArgs& a, const PageView& page, size_t slot, int32_t query) {
  if (slot >= static_cast<size_t>(page.tokens) || (page.slots >> slot & 1) == 0) return false;
  const int32_t at =
      page.positions ? page.positions[slot] : page.first_position + static_cast<int32_t>(slot);
  return at <= query && (a.window <= 0 || at > query - a.window);
}

float score(const AttendArgs& a, const PageView& page, size_t row, size_t slot) {
  if (!visible(a, page, slot, a.positions[row])) return kNegativeInfinity;
  double sum = 0;
  const size_t d = a.key_channels();
  for (size_t c = 0; c < d; ++c) sum += double{a.q[row * d + c]} * key(a, page, c, slot);
  double s = sum * a.scale;
  if (a.soft_cap > 0) s = a.soft_cap * std::tanh(s / a.soft_cap);
  return static_cast<float>(s * 1.4426950408889634);
}

void attend_row(const AttendArgs& a, const PageView& page, size_t row) {
  float scores[kPageTokens];
  float top = kNegativeInfinity;
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    scores[slot] = score(a, page, row, slot);
    top = std::max(top, scores[slot]);
  }
  if (top == kNegativeInfinity) return;
  float& max = a.state.max[row];
  const float new_max = std::max(max, top);
  const float decay = std::exp2(max - new_max);
  const size_t v_dim = padded_head_dim(a.head_dim);
  float* out = a.state.out + row * v_dim;
  a.state.sum[row] *= decay;
  for (size_t c = 0; c < v_dim; ++c) out[c] *= decay;
  for (size_t slot = 0; slot < kPageTokens; ++slot) {
    const float p = std::exp2(scores[slot] - new_max);
    if (p == 0) continue;
    a.state.sum[row] += p;
    for (size_t c = 0; c < a.head_dim; ++c) out[c] += p * value(a, page, slot, c);
  }
  max = new_max;
}

void attend(const AttendArgs& a) {
  for (size_t i = 0; i < a.page_count; ++i) {
    for (size_t row = 0; row < a.rows; ++row) attend_row(a, a.pages[i], row);
  }
}

}  // namespace

AttendFn scalar_attend(KvFormat) { return attend; }

}  // namespace fathom::kernel
