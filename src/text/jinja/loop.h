// The `loop` variable of {% for %}.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "text/jinja/interpreter.h"

namespace fathom::text::jinja {

class Loop final : public MutableObject {
 public:
  struct Origin {
    const For* node;
    Frame* outer;  // pinned; nullptr where the loop is not recursive
    int depth0;
  };
  Loop(Interpreter& run, const Origin& origin, Value iterable, std::unique_ptr<Iterator> source);
  ~Loop() override { Loop::release(); }

  // The next item; nothing at the end.
  std::optional<Value> advance(Runtime& run);

  std::string_view type_name() const override { return "LoopContext"; }
  std::string_view full_type_name() const override { return "jinja2.runtime.LoopContext"; }
  void write_repr(Runtime& run, TextBuilder& out) const override;
  std::optional<Value> attribute(Runtime& run, std::string_view name) override;
  std::optional<int64_t> length(Runtime& run) override;
  // As in Jinja, whoever iterates over `loop` takes its items away from the loop.
  std::unique_ptr<Iterator> iterate(Runtime& run) override;
  bool is_callable() const override { return true; }
  Value call(Runtime& run, Arguments arguments) override;
  void release() override;

  int64_t index0() const { return index0_; }
  // Whether these differ from the values of the last call.
  bool changed(Runtime& run, Value values);

 private:
  // The item after the current one, read early.
  const std::optional<Value>& peek(Runtime& run);
  int64_t total(Runtime& run);

  Interpreter& interpreter_;
  Origin origin_;
  Value iterable_;
  std::unique_ptr<Iterator> source_;
  int64_t index0_ = -1;
  std::optional<int64_t> length_;
  std::optional<Value> before_, current_, after_;
  std::optional<Value> last_changed_;
};

// What a loop reads: the iterable, less what the loop's test leaves out.
std::unique_ptr<Iterator> loop_source(Interpreter& run, const For& node,
                                      const std::shared_ptr<Frame>& outer, const Value& iterable);

}  // namespace fathom::text::jinja
