// Comparing what a method decides with what its own implementation decided, and running attention
// over the decision: the slow definition, in double.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kv/replay/kept_layer.h"
#include "support/method_reference.h"

namespace fathom::test {

// |got - want| <= relative * |want| + absolute, for each.
struct Tolerance {
  double relative = 0, absolute = 0;
};
void expect_close(std::span<const float> got, std::span<const float> want, Tolerance tolerance,
                  const std::string& what);

// Sets of indices, ascending, which were chosen by `scores`. One that is in only one of them is
// forgiven if its score is within the tolerance of the lowest chosen score. Returns whether they
// are equal.
bool expect_same_choice(std::span<const int32_t> got, std::span<const int32_t> want,
                        std::span<const float> scores, Tolerance tolerance);

// Row `row` of an expected tensor of integers without its -1 padding, and of floats.
std::vector<int32_t> expected_row(const std::string& name, size_t row, size_t width);
std::vector<float> expected_score_row(const std::string& name, size_t row, size_t width);

// softmax(q . k * scale) v over the tokens `indices` of a head; all where it is empty.
std::vector<float> attend(const kv::HeadView& head, const float* q,
                          std::span<const int32_t> indices = {});

// The decode steps' outputs, [steps][query heads][head_dim], when each reads what `layer` holds and
// all that was written since. `layer` has read the prompt.
std::vector<float> decode_outputs(kv::KeptLayer& layer, size_t steps);

}  // namespace fathom::test
