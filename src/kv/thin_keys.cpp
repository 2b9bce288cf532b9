#include "kv/thin_keys.h"

#include <algorithm>
#include <vector>

namespace fathom::kv {
namespace {

using kernel::AttendArgs;
using kernel::PageView;

bool same_channels(const PageView& a, const PageView& b) {
  if (a.channel_count != b.channel_count || !a.channels || !b.channels) {
    return !a.channels && !b.channels;
  }
  return std::equal(a.channels, a.channels + a.channel_count, b.channels);
}

void attend_thin(kernel::AttendFn attend, AttendArgs args) {
  const PageView& page = args.pages[0];
  thread_local std::vector<float> queries;
  const size_t n = page.channel_count;
  queries.resize(args.rows * n);
  for (size_t r = 0; r < args.rows; ++r) {
    const float* q = args.q + r * args.head_dim;
    for (size_t i = 0; i < n; ++i) queries[r * n + i] = q[page.channels[i]];
  }
  args.q = queries.data();
  args.key_dim = n;
  attend(args);
}

}  // namespace

void attend_pages(const kernel::Kernels& kernels, const AttendArgs& args) {
  const kernel::AttendFn attend = kernels.attend(args.format);
  for (size_t begin = 0; begin < args.page_count;) {
    size_t end = begin + 1;
    while (end < args.page_count && same_channels(args.pages[begin], args.pages[end])) ++end;
    AttendArgs run = args;
    run.pages = args.pages + begin;
    run.page_count = end - begin;
    if (end < args.page_count) run.next = args.pages + end;
    if (run.pages[0].channels) {
      attend_thin(attend, run);
    } else {
      attend(run);
    }
    begin = end;
  }
}

}  // namespace fathom::kv
