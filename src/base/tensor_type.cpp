#include "base/tensor_type.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"

namespace fathom {
namespace {

constexpr TensorTypeInfo kTypes[] = {
    {TensorType::kF32, "F32", 1, 4},           {TensorType::kF16, "F16", 1, 2},
    {TensorType::kBF16, "BF16", 1, 2},         {TensorType::kQ4_0, "Q4_0", 32, 18},
    {TensorType::kQ4_1, "Q4_1", 32, 20},       {TensorType::kQ5_0, "Q5_0", 32, 22},
    {TensorType::kQ5_1, "Q5_1", 32, 24},       {TensorType::kQ8_0, "Q8_0", 32, 34},
    {TensorType::kQ2_K, "Q2_K", 256, 84},      {TensorType::kQ3_K, "Q3_K", 256, 110},
    {TensorType::kQ4_K, "Q4_K", 256, 144},     {TensorType::kQ5_K, "Q5_K", 256, 176},
    {TensorType::kQ6_K, "Q6_K", 256, 210},     {TensorType::kIQ4_NL, "IQ4_NL", 32, 18},
    {TensorType::kIQ4_XS, "IQ4_XS", 256, 136}, {TensorType::kMXFP4, "MXFP4", 32, 17},
    {TensorType::kTQ1_0, "TQ1_0", 256, 54},    {TensorType::kTQ2_0, "TQ2_0", 256, 66},
};

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

std::span<const TensorTypeInfo> all_tensor_types() { return kTypes; }

const TensorTypeInfo* find_tensor_type(uint32_t ggml_id) {
  for (const TensorTypeInfo& t : kTypes) {
    if (static_cast<uint32_t>(t.type) == ggml_id) return &t;
  }
  return nullptr;
}

const TensorTypeInfo* find_tensor_type(std::string_view name) {
  for (const TensorTypeInfo& t : kTypes) {
    if (same_name(t.name, name)) return &t;
  }
  return nullptr;
}

const TensorTypeInfo& info(TensorType type) {
  const TensorTypeInfo* found = find_tensor_type(static_cast<uint32_t>(type));
  FATHOM_CHECK(found != nullptr);
  return *found;
}

}  // namespace fathom
