#include "eval/gold_pages.h"

namespace fathom::eval {
namespace {

// The first stored token of a head that stands at this place of the text or after it.
size_t first_stored(const kv::SequenceCache& cache, const kv::HeadCache& head, size_t place) {
  size_t begin = 0, end = head.length();
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    if (cache.text_place(head.position(middle)) < static_cast<int32_t>(place)) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

// Indices of the stored tokens of a head at these places of the text.
Span stored(const kv::SequenceCache& cache, const kv::HeadCache& head, const Span& places) {
  return {first_stored(cache, head, places.begin), first_stored(cache, head, places.end)};
}

}  // namespace

GoldKept gold_kept(const kv::SequenceCache& cache, std::span<const Span> gold) {
  size_t wanted = 0;
  for (const Span& s : gold) wanted += s.end - s.begin;
  if (wanted == 0) return {};
  const kv::CacheShape& shape = cache.shape();
  size_t kept = 0, layers = 0;
  for (size_t l = 0; l < shape.layers; ++l) {
    bool all = false;
    for (size_t h = 0; h < shape.kv_heads; ++h) {
      size_t held = 0;
      for (const Span& s : gold) {
        const Span found = stored(cache, cache.head(l, h), s);
        held += found.end - found.begin;
      }
      kept += held;
      all |= held == wanted;
    }
    layers += all;
  }
  const double heads = double(shape.layers * shape.kv_heads);
  return {double(kept) / (heads * double(wanted)), double(layers) / double(shape.layers)};
}

GoldWatch::GoldWatch(Marks& marks, const kv::SequenceCache& cache, std::span<const Span> gold)
    : marks_(marks) {
  marks_.wanted = marks_.fetched = 0;
  if (gold.empty()) return;
  const kv::CacheShape& shape = cache.shape();
  for (size_t i = 0; i < shape.layers * shape.kv_heads; ++i) {
    std::vector<Span>& list = marks_.watched.emplace_back();
    for (const Span& s : gold) {
      list.push_back(stored(cache, cache.head(i / shape.kv_heads, i % shape.kv_heads), s));
    }
  }
}

std::optional<double> GoldWatch::share() const {
  if (marks_.wanted == 0) return std::nullopt;
  return double(marks_.fetched) / double(marks_.wanted);
}

}  // namespace fathom::eval
