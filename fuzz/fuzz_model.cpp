// Any bytes as a model that is run: loaded, asked, and made to continue a text; or refused with an
// Error. The seeds are models of one layer with random weights.
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/session.h"
#include "fuzz_input.h"

namespace {

using namespace fathom;

// The bytes as a file that has a path.
class FileInMemory {
 public:
  FileInMemory(const uint8_t* data, size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    FATHOM_CHECK(fd_ >= 0 && write(fd_, data, size) == static_cast<ssize_t>(size));
  }
  FileInMemory(const FileInMemory&) = delete;
  FileInMemory& operator=(const FileInMemory&) = delete;
  ~FileInMemory() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void talk(const std::shared_ptr<engine::Engine>& engine) {
  GenerateOptions options;
  options.max_tokens = 3;
  engine::Session session(engine);
  session.feed_text("The old mill.");
  session.generate(options, {});
  if (engine->chat_template()) session.ask("Who?", options, {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const FileInMemory file(data, size);
  ModelOptions options;
  options.threads = 1;
  options.context = 64;
  options.kv_bytes = size_t{8} << 20;
  options.batch = 8;
  try {
    talk(engine::Engine::load(file.path(), options));
  } catch (const Error&) {
  }
  return 0;
}
