#include "kv/replay/coded_rows.h"

#include "base/buffer.h"

namespace fathom::kv {
namespace {

// The page that is read back: the coder's, made from the plain one.
void encode(const PageChooser::Page& page, size_t d, PageData plain, PageData coded) {
  if (page.channels) {
    page.coder->seal_thin(plain, d, *page.channels, coded);
  } else {
    page.coder->seal(plain, d, coded);
  }
}

}  // namespace

size_t code_rows(const StoreCodec& codec, const PageChooser::Page& page, const PageRows& rows) {
  const size_t d = rows.head_dim;
  const size_t bytes = page.coder ? page.coder->sealed_bytes(d) : codec.page_bytes(d);
  Buffer<std::byte> plain(codec.page_bytes(d)), coded(page.coder ? bytes : 1);
  for (size_t t = 0; t < rows.tokens; ++t) {
    float *k = rows.k + t * d, *v = rows.v + t * d;
    if (codec.key_frame()) codec.key_frame()->enter(rows.head, k, d);
    if (codec.value_frame()) codec.value_frame()->enter(rows.head, v, d);
    codec.write({plain.data()}, d, t, k, v);
  }
  if (page.coder) encode(page, d, {plain.data()}, {coded.data()});
  for (size_t t = 0; t < rows.tokens; ++t) {
    float *k = rows.k + t * d, *v = rows.v + t * d;
    if (page.coder) {
      page.coder->read_sealed({coded.data()}, d, t, k, v);
    } else {
      codec.read({plain.data()}, d, t, k, v);
    }
    if (codec.key_frame()) codec.key_frame()->leave(rows.head, k, d);
    if (codec.value_frame()) codec.value_frame()->leave(rows.head, v, d);
  }
  return bytes;
}

}  // namespace fathom::kv
