// Python's operators and protocols on values: what +, <, in, x.y, x[y], len() and iteration mean.
//
// All throw Failure with Python's complaint (a TypeError's text, say) where the operands do not
// fit, and with Jinja's where an operand is undefined.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "text/jinja/runtime.h"

namespace fathom::text::jinja {

enum class ArithmeticOp { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class CompareOp { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

[[noreturn]] void fail_undefined(const Value& value);

bool truth(Runtime& run, const Value& value);
bool equal(Runtime& run, const Value& a, const Value& b);
bool compare(Runtime& run, CompareOp op, const Value& a, const Value& b);
bool contains(Runtime& run, const Value& container, const Value& item);

Value arithmetic(Runtime& run, ArithmeticOp op, const Value& a, const Value& b);
Value negated(const Value& value);
Value unchanged_number(const Value& value);  // +value

// object.name and object[index]: undefined where there is no such thing.
Value attribute_of(Runtime& run, const Value& object, std::string_view name);
Value item_of(Runtime& run, const Value& object, const Value& index);
// object[start:stop:step]; None where a part is left out.
struct SliceParts {
  Value start, stop, step;
};
Value slice_of(Runtime& run, const Value& object, const SliceParts& parts);

std::unique_ptr<Iterator> iterate(Runtime& run, const Value& value);
bool is_iterable(Runtime& run, const Value& value);
std::vector<Value> collect(Runtime& run, const Value& value);
std::vector<Value> drain(Runtime& run, Iterator& iterator);
int64_t length_of(Runtime& run, const Value& value);
std::optional<int64_t> length_if_any(Runtime& run, const Value& value);

Value call_value(Runtime& run, const Value& callee, Arguments arguments);
bool is_callable(const Value& value);

// An integer where Python asks for an index: refuses floats.
int64_t as_index(const Value& value);

// Where Python's slice(start, stop) of a sequence of that length begins and ends.
struct SliceBounds {
  int64_t start = 0;
  int64_t stop = 0;
  int64_t step = 1;
  int64_t count = 0;
};
SliceBounds slice_bounds(const SliceParts& parts, int64_t length);

}  // namespace fathom::text::jinja
