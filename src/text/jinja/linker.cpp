#include "text/jinja/linker.h"

#include "text/jinja/builtins.h"
#include "text/jinja/scope.h"
#include "text/jinja/walk.h"

namespace fathom::text::jinja {
namespace {

// Whether a body's first mention of a name, however deep inside, reads it: then it is no variable
// of the body itself.
class FirstMention {
 public:
  explicit FirstMention(std::string_view name) : name_(name) {}

  bool reads(Body& body) {
    visit(body);
    return found_ && reads_;
  }

 private:
  void mention(std::string_view name, bool reads) {
    if (found_ || name != name_) return;
    found_ = true;
    reads_ = reads;
  }

  void visit(Expression& e) {
    if (found_) return;
    if (const Name* name = std::get_if<Name>(&e.node)) mention(name->name, true);
    visit_operands(e, [&](Expression& operand) { visit(operand); });
  }

  void visit(Expr& e) {
    if (e) visit(*e);
  }

  void visit(const Target& target) {
    if (const auto* name = std::get_if<NameTarget>(&target.node)) mention(name->name, false);
    if (const auto* tuple = std::get_if<TupleTarget>(&target.node)) {
      for (const Target& part : tuple->parts) visit(part);
    }
  }

  void visit(MacroBody& macro) {
    for (Parameter& p : macro.parameters) mention(p.name, false);
    for (Parameter& p : macro.parameters) visit(p.fallback);
    visit(macro.body);
  }

  void visit(Body& body) {
    for (Statement& s : body) {
      if (found_) return;
      std::visit([&](auto& node) { visit_node(node); }, s.node);
    }
  }

  void visit_node(TextOutput&) {}
  void visit_node(Break&) {}
  void visit_node(Continue&) {}
  void visit_node(Print& n) {
    for (Expr& e : n.expressions) visit(e);
  }
  void visit_node(If& n) {
    for (If::Branch& branch : n.branches) {
      visit(branch.test);
      visit(branch.body);
    }
    visit(n.otherwise);
  }
  void visit_node(For& n) {
    visit(n.target);
    visit(n.iterable);
    visit(n.body);
    if (n.otherwise) visit(*n.otherwise);
    visit(n.test);
  }
  void visit_node(Set& n) {
    visit(n.target);
    visit(n.value);
  }
  void visit_node(SetBlock& n) {
    visit(n.target);
    visit(n.filter);
    visit(n.body);
  }
  void visit_node(FilterBlock& n) {
    visit(n.body);
    visit(n.filter);
  }
  void visit_node(With& n) {
    for (const Target& target : n.targets) visit(target);
    for (Expr& e : n.values) visit(e);
    visit(n.body);
  }
  void visit_node(MacroDefinition& n) { visit(n.macro); }
  void visit_node(CallBlock& n) {
    visit(n.call);
    visit(n.caller);
  }
  void visit_node(Generation& n) { visit(n.macro); }

  std::string_view name_;
  bool found_ = false;
  bool reads_ = false;
};

// Declares what a frame's own statements read and set, but not what inner frames do.
class Declarer {
 public:
  explicit Declarer(Scope& scope) : scope_(scope), seen_(&scope.seen()) {}

  void declare(Body& body) {
    for (Statement& s : body) std::visit([&](auto& node) { declare_node(node); }, s.node);
  }

  void declare(Expression& e) {
    if (const Name* name = std::get_if<Name>(&e.node)) scope_.load(*seen_, name->name);
    visit_operands(e, [&](Expression& operand) { declare(operand); });
  }

  void declare(Expr& e) {
    if (e) declare(*e);
  }

  void declare_parameters(const Target& target) {
    if (const auto* name = std::get_if<NameTarget>(&target.node)) {
      scope_.declare_parameter(name->name);
    } else if (const auto* tuple = std::get_if<TupleTarget>(&target.node)) {
      for (const Target& part : tuple->parts) declare_parameters(part);
    }
  }

 private:
  void declare(const Target& target) {
    std::visit(Overloaded{
                   [&](const NameTarget& n) { scope_.store(*seen_, n.name); },
                   [&](const AttributeTarget& n) { scope_.load(*seen_, n.object.name); },
                   [&](const TupleTarget& n) {
                     for (const Target& part : n.parts) declare(part);
                   },
               },
               target.node);
  }

  template <class Visit>
  Scope::Seen branch(Visit visit) {
    Scope::Seen inside;
    inside.before = seen_;
    Scope::Seen* outside = std::exchange(seen_, &inside);
    visit();
    seen_ = outside;
    return inside;
  }

  void declare_if(If& n, size_t first) {
    declare(n.branches[first].test);
    std::vector<Scope::Seen> branches;
    branches.push_back(branch([&] { declare(n.branches[first].body); }));
    branches.push_back(branch([&] {
      for (size_t i = first + 1; first == 0 && i < n.branches.size(); ++i) declare_if(n, i);
    }));
    branches.push_back(branch([&] {
      if (first == 0) declare(n.otherwise);
    }));
    scope_.merge(*seen_, branches);
  }

  void declare_node(TextOutput&) {}
  void declare_node(Break&) {}
  void declare_node(Continue&) {}
  void declare_node(Generation&) {}
  void declare_node(Print& n) {
    for (Expr& e : n.expressions) declare(e);
  }
  void declare_node(If& n) { declare_if(n, 0); }
  void declare_node(For& n) { declare(n.iterable); }
  void declare_node(Set& n) {
    declare(n.value);
    declare(n.target);
  }
  void declare_node(SetBlock& n) { declare(n.target); }
  void declare_node(FilterBlock& n) { declare(n.filter); }
  void declare_node(With& n) {
    for (Expr& e : n.values) declare(e);
  }
  void declare_node(MacroDefinition& n) { scope_.store(*seen_, n.target.name); }
  void declare_node(CallBlock& n) { declare(n.call); }

  Scope& scope_;
  Scope::Seen* seen_;
};

class Linker {
 public:
  Linker(Template& tree, const Source& source)
      : tree_(tree), source_(source), context_(tree.context_names) {}

  void run() {
    Scope scope(nullptr);
    Declarer(scope).declare(tree_.body);
    tree_.frame = scope.assign_slots({}, context_);
    link(tree_.body, {scope, Inside::kFrame});
  }

 private:
  // Inside a condition unknown filters may stay: they fail when they are reached.
  enum class Inside { kFrame, kCondition };
  struct Place {
    Scope& scope;
    Inside inside;
    Place in_condition() const { return {scope, Inside::kCondition}; }
  };

  void link(Body& body, Place place) {
    for (Statement& s : body) {
      std::visit([&](auto& node) { link_node(node, s.position, place); }, s.node);
    }
  }

  void link(Expr& e, Place place) {
    if (e) link(*e, place);
  }

  void link(Expression& e, Place place) {
    if (Name* name = std::get_if<Name>(&e.node)) link(*name, place);
    if (FilterUse* use = std::get_if<FilterUse>(&e.node)) {
      use->filter = builtin(e.position, place, use->name, Which::kFilter);
    }
    if (TestUse* use = std::get_if<TestUse>(&e.node)) {
      use->test = builtin(e.position, place, use->name, Which::kTest);
    }
    const bool conditional = std::holds_alternative<Conditional>(e.node);
    const Place inner = conditional ? place.in_condition() : place;
    visit_operands(e, [&](Expression& operand) { link(operand, inner); });
  }

  static void link(Name& name, Place place) {
    const std::optional<Slot> slot = place.scope.find(name.name);
    FATHOM_CHECK(slot.has_value());
    name.slot = *slot;
  }

  enum class Which { kFilter, kTest };

  const Builtin* builtin(Position at, Place place, std::string_view name, Which which) const {
    const bool is_filter = which == Which::kFilter;
    const Builtin* found = is_filter ? find_filter(name) : find_test(name);
    if (place.inside == Inside::kCondition) return found;
    const std::string_view what = is_filter ? "filter" : "test";
    if (found == nullptr) {
      const auto names = is_filter ? filter_names() : test_names();
      throw source_.error(at, fmt::format("no {} named '{}'", what, name),
                          nearest_name_hint(name, names));
    }
    if (found->body == nullptr) {
      throw source_.error(at, fmt::format("the {} '{}' is not offered", what, name));
    }
    return found;
  }

  void link(Target& target, Place place) {
    std::visit(Overloaded{
                   [&](NameTarget& n) { link(n, target.position, place); },
                   [&](AttributeTarget& n) { link(n.object, place); },
                   [&](TupleTarget& n) {
                     for (Target& part : n.parts) link(part, place);
                   },
               },
               target.node);
  }

  void link(NameTarget& name, Position at, Place place) const {
    if (loops_ > 0 && name.name == "loop") {
      throw source_.error(at, "inside a loop the name 'loop' cannot be assigned to");
    }
    const std::optional<Slot> slot = place.scope.find(name.name);
    FATHOM_CHECK(slot.has_value() && slot->hops == 0);
    name.slot = slot->index;
  }

  void link_node(TextOutput&, Position, Place) {}
  void link_node(Break&, Position, Place) {}
  void link_node(Continue&, Position, Place) {}

  void link_node(Print& n, Position, Place place) {
    for (Expr& e : n.expressions) link(e, place);
  }

  void link_node(If& n, Position, Place place) {
    for (If::Branch& branch : n.branches) {
      link(branch.test, place.in_condition());
      link(branch.body, place.in_condition());
    }
    link(n.otherwise, place.in_condition());
  }

  void link_node(For& n, Position, Place place) {
    link(n.iterable, place);
    ++loops_;
    link_loop_body(n, place);
    if (n.test) link_loop_test(n, place);
    if (n.otherwise) {
      Scope scope(&place.scope);
      Declarer(scope).declare(*n.otherwise);
      n.otherwise_frame = scope.assign_slots({}, context_);
      link(*n.otherwise, {scope, Inside::kFrame});
    }
    --loops_;
  }

  void link_loop_body(For& n, Place place) {
    Scope scope(&place.scope);
    Declarer declarer(scope);
    scope.declare_parameter("loop");
    declarer.declare_parameters(n.target);
    declarer.declare(n.body);
    n.body_frame = scope.assign_slots({}, context_);
    n.loop_slot = scope.find("loop")->index;
    link(n.target, {scope, Inside::kFrame});
    link(n.body, {scope, Inside::kFrame});
  }

  void link_loop_test(For& n, Place place) {
    Scope scope(&place.scope);
    Declarer declarer(scope);
    declarer.declare_parameters(n.test_target);
    declarer.declare(n.test);
    n.test_frame = scope.assign_slots({}, context_);
    link(n.test_target, {scope, Inside::kFrame});
    link(n.test, {scope, Inside::kFrame});
  }

  void link_node(Set& n, Position, Place place) {
    link(n.value, place);
    link(n.target, place);
  }

  void link_node(SetBlock& n, Position, Place place) {
    Scope scope(&place.scope);
    Declarer declarer(scope);
    declarer.declare(n.body);
    declarer.declare(n.filter);
    n.frame = scope.assign_slots({}, context_);
    link(n.body, {scope, Inside::kFrame});
    link(n.filter, {scope, Inside::kFrame});
    link(n.target, place);
  }

  void link_node(FilterBlock& n, Position, Place place) {
    Scope scope(&place.scope);
    Declarer declarer(scope);
    declarer.declare(n.body);
    declarer.declare(n.filter);
    n.frame = scope.assign_slots({}, context_);
    link(n.body, {scope, Inside::kFrame});
    link(n.filter, {scope, Inside::kFrame});
  }

  void link_node(With& n, Position, Place place) {
    for (Expr& e : n.values) link(e, place);
    Scope scope(&place.scope);
    Declarer declarer(scope);
    for (const Target& target : n.targets) declarer.declare_parameters(target);
    declarer.declare(n.body);
    n.frame = scope.assign_slots({}, context_);
    for (Target& target : n.targets) link(target, {scope, Inside::kFrame});
    link(n.body, {scope, Inside::kFrame});
  }

  void link_node(MacroDefinition& n, Position at, Place place) {
    link_macro(n.macro, at, place);
    n.target.slot = place.scope.find(n.target.name)->index;
  }

  void link_node(CallBlock& n, Position at, Place place) {
    link_macro(n.caller, at, place);
    link(n.call, place);
  }

  void link_node(Generation& n, Position at, Place place) { link_macro(n.macro, at, place); }

  void link_macro(MacroBody& macro, Position at, Place place) {
    Scope scope(&place.scope);
    Declarer declarer(scope);
    std::vector<std::string> parameters;
    for (const Parameter& p : macro.parameters) {
      scope.declare_parameter(p.name);
      parameters.push_back(p.name);
    }
    for (Parameter& p : macro.parameters) declarer.declare(p.fallback);
    declarer.declare(macro.body);
    const bool caller = takes(macro, "caller", at, scope);
    const bool kwargs = takes(macro, "kwargs", at, scope);
    const bool varargs = takes(macro, "varargs", at, scope);
    macro.frame = scope.assign_slots(parameters, context_);
    if (caller) macro.caller_slot = scope.find("caller")->index;
    if (kwargs) macro.kwargs_slot = scope.find("kwargs")->index;
    if (varargs) macro.varargs_slot = scope.find("varargs")->index;
    for (Parameter& p : macro.parameters) link(p.fallback, {scope, Inside::kFrame});
    link(macro.body, {scope, Inside::kFrame});
  }

  // Whether a macro takes one of the special names, which its body then uses but does not set.
  bool takes(MacroBody& macro, const std::string& name, Position at, Scope& scope) const {
    if (!FirstMention(name).reads(macro.body)) return false;
    for (const Parameter& p : macro.parameters) {
      if (p.name != name) continue;
      if (name == "caller" && p.fallback == nullptr) {
        throw source_.error(at, "a parameter named 'caller' needs a default");
      }
      return false;
    }
    scope.declare_parameter(name);
    return true;
  }

  Template& tree_;
  const Source& source_;
  ContextNames context_;
  int loops_ = 0;  // around the current statement
};

}  // namespace

void link(Template& tree, const Source& source) { Linker(tree, source).run(); }

}  // namespace fathom::text::jinja
