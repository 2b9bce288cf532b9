#include "eval/task/tasks.h"

namespace fathom::eval {

std::vector<std::string> noise(size_t n) {
  static const std::string kRemarks[] = {"The meadow is wide. ", "Clouds drift over it. ",
                                         "A stream runs below. ", "Birds come and go. ",
                                         "So the day passes.\n"};
  std::vector<std::string> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = kRemarks[i % std::size(kRemarks)];
  return out;
}

std::vector<std::string> with_fill(std::vector<std::string> from, size_t fill) {
  for (std::string& s : noise(fill)) from.push_back(std::move(s));
  return from;
}

}  // namespace fathom::eval
