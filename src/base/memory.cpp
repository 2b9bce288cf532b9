#include "base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>

#include "base/error.h"

namespace fathom {
namespace {

size_t meminfo(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  std::string name;
  for (size_t kib; in >> name >> kib;
       in.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) {
    if (name == key + ":") return kib << 10;
  }
  return 0;
}

// Free room in one cgroup v2 folder; the maximum where it has no limit.
size_t cgroup_room(const std::string& folder) {
  size_t limit = 0, used = 0;
  std::ifstream max(folder + "/memory.max"), current(folder + "/memory.current");
  if (!(max >> limit) || !(current >> used)) return std::numeric_limits<size_t>::max();
  return limit > used ? limit - used : 0;
}

}  // namespace

size_t available_memory() {
  size_t available = meminfo("MemAvailable");
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::", 0) == 0) {
      available = std::min(available, cgroup_room("/sys/fs/cgroup" + line.substr(3)));
    }
  }
  return std::min(available, cgroup_room("/sys/fs/cgroup"));
}

size_t peak_memory() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) << 10;
}

size_t resident_memory() {
  std::ifstream in("/proc/self/statm");
  size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::string human_bytes(double bytes) {
  if (bytes >= 0x1p30) return fmt::format("{:.2f} GiB", bytes / 0x1p30);
  if (bytes >= 0x1p20) return fmt::format("{:.1f} MiB", bytes / 0x1p20);
  if (bytes >= 0x1p10) return fmt::format("{:.0f} KiB", bytes / 0x1p10);
  return fmt::format("{:.0f} B", bytes);
}

size_t parse_bytes(const std::string& option, const std::string& text) {
  double value = -1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  std::string suffix;
  for (const char* p = rest; p != end; ++p) {
    if (*p != ' ') suffix += static_cast<char>(std::tolower(static_cast<unsigned char>(*p)));
  }
  double unit = 0;
  if (suffix.empty() || suffix == "b") unit = 1;
  if (suffix == "k" || suffix == "kb" || suffix == "kib") unit = 0x1p10;
  if (suffix == "m" || suffix == "mb" || suffix == "mib") unit = 0x1p20;
  if (suffix == "g" || suffix == "gb" || suffix == "gib") unit = 0x1p30;
  if (error != std::errc() || unit == 0 || !(value >= 0) || value * unit > 0x1p60) {
    throw with_hint(usage_error(option, "'{}' is not a size", text), "say 16k, 512MiB or 4GiB");
  }
  return static_cast<size_t>(value * unit);
}

}  // namespace fathom
