#pragma once
#include <string>

namespace sim {
// " [f at file.cu:12]" for an address inside a loaded kernel module, where addr2line is installed; else "".
std::string where(const void* pc);
} // namespace sim
