#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

class FileHandle {
 public:
  // Not blocking: opening a named pipe must fail as what it is, not wait for a writer.
  explicit FileHandle(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) throw bad_file(path, "cannot be opened: {}", std::strerror(errno));
  }
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle() { ::close(fd_); }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const FileHandle file(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) {
    throw bad_file(path, "cannot be read: {}", std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) throw bad_file(path, "is not a regular file");
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) throw bad_file(path, "cannot be mapped: {}", std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      own_(std::move(other.own_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(own_, other.own_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (mapped()) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile MappedFile::from_bytes(std::string path, std::vector<std::byte> bytes) {
  MappedFile file;
  file.path_ = std::move(path);
  file.own_ = std::move(bytes);
  file.data_ = file.own_.data();
  file.size_ = file.own_.size();
  return file;
}

void MappedFile::will_read(size_t offset, size_t length) const {
  if (!mapped() || offset >= size_) return;
  const size_t begin = offset / 4096 * 4096;
  const size_t end = offset + std::min(length, size_ - offset);
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_WILLNEED);
}

void MappedFile::drop(size_t offset, size_t length) const {
  if (!mapped() || offset >= size_) return;
  const size_t begin = (offset + 4095) / 4096 * 4096;
  const size_t end = (offset + std::min(length, size_ - offset)) / 4096 * 4096;
  if (end > begin) {
    ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
  }
}

}  // namespace fathom
