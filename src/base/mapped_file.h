// A file mapped read-only into memory. Move-only; the mapping lives as long as the object, and the
// bytes stay where they are when the object is moved.
//
// Thread-safe for reading. Throws Error(kBadFile) where the file cannot be opened or mapped.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace fathom {

class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  // A file that is in memory only: what a reader had to convert, a test or a fuzzer made up. `path`
  // is what messages call it.
  static MappedFile from_bytes(std::string path, std::vector<std::byte> bytes);

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // The next two do nothing for a file that is in memory only.
  //
  // Tells the kernel that this range will be read soon, front to back.
  void will_read(size_t offset, size_t length) const;
  // Gives the range's pages back to the page cache: they no longer count as this process's memory,
  // and reading them again maps them again.
  void drop(size_t offset, size_t length) const;

 private:
  bool mapped() const { return data_ != nullptr && data_ != own_.data(); }

  std::string path_;
  std::vector<std::byte> own_;  // of from_bytes()
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fathom
