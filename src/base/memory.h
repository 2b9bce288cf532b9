// How much memory this process may still take, and how much it has taken.
#pragma once

#include <cstddef>
#include <string>

namespace fathom {

// What the system can give without swapping, within the cgroup's limit.
size_t available_memory();
// The largest resident size this process ever had.
size_t peak_memory();

// The resident size now.
size_t resident_memory();

// "1.5 GiB", "900 MiB", "12 KiB"
std::string human_bytes(double bytes);
// "4096", "16k", "1.5GiB": digits with a binary suffix k, M, G (iB). Throws Error(kUsage) for the
// named option.
size_t parse_bytes(const std::string& option, const std::string& text);

}  // namespace fathom
