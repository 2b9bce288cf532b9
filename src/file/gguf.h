// Reading GGUF v2 and v3 (the format of ggml, github.com/ggerganov/ggml docs/gguf.md).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "file/checkpoint.h"

namespace fathom::file {

// Opens one file, or all parts where the name says `-00001-of-0000N.gguf`; opening a later part is
// an error that names the first.
Checkpoint open_gguf(const std::string& path);

// One whole file, wherever its bytes are.
Checkpoint read_gguf(MappedFile file);

}  // namespace fathom::file
