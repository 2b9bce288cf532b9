// A store that looks at attention before it encodes: which codec each full page of a head gets.
//
// Its pages stay plain while a prompt is read. StoreStage asks when the prompt is there, and again
// while decoding. Immutable and safe to use from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kv/store/codec.h"
#include "kv/view.h"

namespace fathom::kv {

class PageChooser {
 public:
  // Of 64 tokens of a head, in order.
  struct Page {
    const StoreCodec* coder = nullptr;  // that encoded it, or is to; null: plain
    bool open = false;                  // may be given a coder
    // Of the keys, ascending, for a coder that leaves out the others.
    std::shared_ptr<const std::vector<uint16_t>> channels = {};
  };

  virtual ~PageChooser() = default;
  virtual size_t window() const = 0;  // last queries that it is shown
  virtual size_t every() const = 0;   // tokens after which it is asked again while decoding
  // Of a page that it gave a coder, at most.
  virtual size_t coded_bytes(size_t head_dim) const = 0;
  // Gives coders to open pages, or leaves them plain. `head` has no values; the coders belong to
  // the chooser.
  virtual void choose(const HeadView& head, const QueryView& queries,
                      std::span<Page> pages) const = 0;
};

}  // namespace fathom::kv
