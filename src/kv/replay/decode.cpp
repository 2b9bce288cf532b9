// The decode steps: each query over the keys that KEEP and FETCH left it.
#include "kv/replay/attend_lists.h"
#include "kv/replay/replay.h"

namespace fathom::kv {

void replay_decode(Replay& replay) {
  const Recording& r = replay.recording;
  replay.pool.run(replay.readable.size(), [&](size_t i, int) {
    const size_t token = r.prompt() + i / r.heads(), head = i % r.heads();
    const size_t row = token * r.heads() + head;
    const QueryView query = r.queries(head / r.group(), token, 1);
    replay.lse[row] = static_cast<float>(attend_keys(
        replay.head(head / r.group(), token + 1), query.row(0, head % r.group(), r.head_dim()),
        replay.readable[i], replay.out.data() + row * r.head_dim()));
  });
  double read = 0, there = 0;
  for (size_t i = 0; i < replay.readable.size(); ++i) {
    read += static_cast<double>(replay.readable[i].size());
    there += static_cast<double>(r.prompt() + i / r.heads() + 1);
  }
  if (there > 0) replay.numbers["decode_keys_read"] = read / there;
}

}  // namespace fathom::kv
