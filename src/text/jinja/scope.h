// Which names a frame knows, while a template is linked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"

namespace fathom::text::jinja {

// The numbers of the variables that a template takes from outside.
class ContextNames {
 public:
  explicit ContextNames(std::vector<std::string>& names) : names_(names) {}
  uint32_t number_of(const std::string& name);

 private:
  std::vector<std::string>& names_;
  std::map<std::string, uint32_t, std::less<>> numbers_;
};

// One frame. Names are declared first; assign_slots() then fixes the layout; after that inner
// frames may look outwards.
class Scope {
 public:
  explicit Scope(const Scope* outer) : outer_(outer) {}

  // What a frame or a branch of it has seen so far. A branch looks through to what came before it.
  struct Seen {
    const Seen* before = nullptr;
    std::map<std::string, SlotLoad::From, std::less<>> names;
    std::set<std::string, std::less<>> stores;

    bool has(std::string_view name) const;
    bool has_stored(std::string_view name) const;
  };
  Seen& seen() { return seen_; }

  void load(Seen& seen, const std::string& name) const;
  void store(Seen& seen, const std::string& name) const;
  void declare_parameter(const std::string& name);
  // After the three branches of an if (then, all elifs, else). REQUIRES: their `before` is `seen`.
  void merge(Seen& seen, const std::vector<Seen>& branches) const;

  // Parameters first, in this order, then everything else.
  FrameLayout assign_slots(const std::vector<std::string>& parameters, ContextNames& context);

  // Where a name lives, seen from this frame. REQUIRES: assign_slots() of this and outer frames.
  std::optional<Slot> find(std::string_view name) const;

 private:
  bool is_known_outside(std::string_view name) const;

  const Scope* outer_;
  Seen seen_;
  std::map<std::string, uint32_t, std::less<>> slots_;
};

}  // namespace fathom::text::jinja
