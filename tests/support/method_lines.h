// Policy lines for any method of the registry, for tests that walk it: with room for everything,
// and with little.
#pragma once

#include <string>

#include "kv/registry.h"
#include "support/temp_dir.h"

namespace fathom::test {

class MethodLines {
 public:
  // Methods that need a head table get one in which the first kv head retrieves.
  MethodLines(size_t layers, size_t kv_heads);

  // "stage=method(...)" with which a text of some thousand tokens is read, kept and fetched whole;
  // stores have no such setting.
  std::string roomy(const kv::Method& method) const;
  // With which a text of a few hundred tokens is not. KEEP: 48 tokens; FETCH: windows and blocks of
  // about that size; stores without a tail.
  std::string tight(const kv::Method& method) const;

 private:
  std::string table() const { return dir_.file("heads.tsv"); }
  TempDir dir_;
};

}  // namespace fathom::test
