#include "file/huggingface.h"

#include "base/error.h"

namespace fathom::file {

Checkpoint open_huggingface_folder(const std::string& path) {
  throw unsupported(path, "is a folder");
}

}  // namespace fathom::file
