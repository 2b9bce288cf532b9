#include "file/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace fathom::file {
namespace {

constexpr size_t kBuffer = 1u << 20;

// The file that the path means: what a link leads to. Only a file can be put in another's place: a
// device or a pipe would be gone.
std::string target_of(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::directory) {
    throw with_hint(bad_file(path, "is a folder"), "name a file in it");
  }
  if (type == fs::file_type::not_found || type == fs::file_type::none) return path;
  if (type != fs::file_type::regular) {
    throw with_hint(bad_file(path, "is not a regular file"),
                    "results are written to files, which appear when they are complete");
  }
  const fs::path target = fs::canonical(path, error);
  return error ? path : target.string();
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), target_(target_of(path_)) {
  // Not mkstemp: the file gets the rights that the user gives to new files.
  static std::atomic<unsigned> count{0};
  do {
    temporary_ = fmt::format("{}.{}-{}", target_, ::getpid(), count++);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) fail("created");
  buffer_.reserve(kBuffer);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  written_ += bytes.size();
  while (!bytes.empty()) {
    const size_t part = std::min(bytes.size(), kBuffer - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (buffer_.size() == kBuffer) flush();
  }
}

void AtomicFile::pad_to(size_t alignment) {
  const size_t missing = (alignment - written_ % alignment) % alignment;
  const std::vector<std::byte> zeros(missing);
  write(zeros);
}

void AtomicFile::commit() {
  flush();
  if (::fsync(fd_) != 0) fail("written");
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 || std::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail("put in place");
  }
}

void AtomicFile::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno != EINTR) fail("written");
    if (n > 0) done += static_cast<size_t>(n);
  }
  buffer_.clear();
}

void AtomicFile::fail(const char* what) const {
  throw bad_file(path_, "cannot be {}: {}", what, std::strerror(errno));
}

}  // namespace fathom::file
