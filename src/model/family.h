// The architectures Fathom knows, one file each in family/. A family says how to read its constants
// and where its weights are; what a layer computes is the same sequence for all of them
// (forward.cpp), with the parts that a family lacks left empty.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "file/checkpoint.h"
#include "model/config.h"
#include "model/weights.h"

namespace fathom::model {

// Reads `<architecture>.<key>` values with checks. Throws Error(kBadFile).
class KeyReader {
 public:
  KeyReader(const file::Checkpoint& checkpoint, std::string architecture);

  size_t count(const std::string& key) const;  // required, 1 .. 2^31
  size_t count(const std::string& key, size_t fallback) const;
  float number(const std::string& key, float fallback) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  const file::Value* find(const std::string& key) const;  // nullptr where it is missing
  bool has(const std::string& key) const;
  const file::Checkpoint& checkpoint() const { return checkpoint_; }
  const std::string& architecture() const { return architecture_; }

 private:
  std::string full(const std::string& key) const { return architecture_ + "." + key; }
  const file::Checkpoint& checkpoint_;
  std::string architecture_;
};

struct Family {
  std::string_view architecture;  // general.architecture
  std::string_view models;        // who uses it, for people
  // Fills what differs from read_common().
  void (*configure)(const KeyReader& keys, Config& config);
  LayerWeights (*load_layer)(WeightLoader& loader, const Config& config, const std::string& prefix);
};

std::span<const Family* const> all_families();
// Throws Error(kUnsupported) with the list of known ones.
const Family& find_family(const file::Checkpoint& checkpoint);

// Sizes, norm and RoPE constants, as all families have them.
Config read_common(const KeyReader& keys);
// family.configure() over read_common(), and the checks that make a Config safe to compute with.
Config read_config(const file::Checkpoint& checkpoint);

// Sets the sliding window and which layers have it: attention.sliding_window, without the key
// `window` (0: none); attention.sliding_window_pattern, a number n (all but the last of every n
// layers) or a flag a layer, without the key `period` (0: all layers).
struct WindowDefaults {
  size_t window = 0, period = 0;
};
void read_window(const KeyReader& keys, const WindowDefaults& defaults, Config& config);

// Norms, separate Q, K, V and O, gate, up and down, under GGUF's names: most families' layer.
LayerWeights load_common_layer(WeightLoader& loader, const Config& config,
                               const std::string& prefix);

extern const Family kLlama, kQwen2, kQwen3, kPhi3, kGemma2, kGemma3;

}  // namespace fathom::model
