// A file that appears under its name only when it is complete.
//
// Writing goes to a temporary file in the same folder; commit() puts it in place, over the file
// that was there. Where a link was named, what it leads to is replaced; devices, pipes and folders
// are refused. Without commit() the temporary file is removed. Throws Error(kBadFile) with the
// system's reason. For one thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::file {

class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  const std::string& path() const { return path_; }
  size_t written() const { return written_; }

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  // Zero bytes until written() is a multiple of `alignment`.
  void pad_to(size_t alignment);
  // Flushed to the disk, then renamed. Nothing may be written after it.
  void commit();

 private:
  void flush();
  [[noreturn]] void fail(const char* what) const;

  std::string path_;
  std::string target_;  // where links lead
  std::string temporary_;
  int fd_ = -1;
  size_t written_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace fathom::file
