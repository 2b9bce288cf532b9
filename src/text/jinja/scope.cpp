#include "text/jinja/scope.h"

namespace fathom::text::jinja {

uint32_t ContextNames::number_of(const std::string& name) {
  const auto [entry, is_new] = numbers_.try_emplace(name, static_cast<uint32_t>(names_.size()));
  if (is_new) names_.push_back(name);
  return entry->second;
}

bool Scope::Seen::has(std::string_view name) const {
  for (const Seen* s = this; s != nullptr; s = s->before) {
    if (s->names.find(name) != s->names.end()) return true;
  }
  return false;
}

bool Scope::Seen::has_stored(std::string_view name) const {
  for (const Seen* s = this; s != nullptr; s = s->before) {
    if (s->stores.find(name) != s->stores.end()) return true;
  }
  return false;
}

bool Scope::is_known_outside(std::string_view name) const {
  return outer_ != nullptr && outer_->find(name).has_value();
}

void Scope::load(Seen& seen, const std::string& name) const {
  if (seen.has(name) || is_known_outside(name)) return;
  seen.names[name] = SlotLoad::From::kContext;
}

void Scope::store(Seen& seen, const std::string& name) const {
  seen.stores.insert(name);
  if (seen.has(name)) return;
  seen.names[name] = is_known_outside(name) ? SlotLoad::From::kOuter : SlotLoad::From::kNothing;
}

void Scope::declare_parameter(const std::string& name) {
  seen_.stores.insert(name);
  seen_.names[name] = SlotLoad::From::kParameter;
}

void Scope::merge(Seen& seen, const std::vector<Seen>& branches) const {
  std::map<std::string, size_t> stored_by;  // how many branches
  for (const Seen& branch : branches) {
    for (const std::string& name : branch.stores) {
      if (!seen.has_stored(name)) ++stored_by[name];
    }
  }
  for (const Seen& branch : branches) {
    for (const auto& [name, from] : branch.names) seen.names[name] = from;
    seen.stores.insert(branch.stores.begin(), branch.stores.end());
  }
  for (const auto& [name, count] : stored_by) {
    if (count == branches.size()) continue;
    seen.names[name] = is_known_outside(name) ? SlotLoad::From::kOuter : SlotLoad::From::kContext;
  }
}

FrameLayout Scope::assign_slots(const std::vector<std::string>& parameters, ContextNames& context) {
  for (const std::string& name : parameters) {
    slots_.try_emplace(name, static_cast<uint32_t>(slots_.size()));
  }
  for (const auto& [name, from] : seen_.names) {
    slots_.try_emplace(name, static_cast<uint32_t>(slots_.size()));
  }
  FrameLayout layout;
  layout.slots.resize(slots_.size());
  for (const auto& [name, from] : seen_.names) {
    SlotLoad& load = layout.slots[slots_[name]];
    load.from = from;
    if (from == SlotLoad::From::kContext) load.context = context.number_of(name);
    if (from == SlotLoad::From::kOuter) {
      load.outer = *outer_->find(name);
      ++load.outer.hops;
    }
  }
  return layout;
}

std::optional<Slot> Scope::find(std::string_view name) const {
  uint32_t hops = 0;
  for (const Scope* s = this; s != nullptr; s = s->outer_, ++hops) {
    const auto found = s->slots_.find(name);
    if (found != s->slots_.end()) return Slot{hops, found->second};
  }
  return std::nullopt;
}

}  // namespace fathom::text::jinja
