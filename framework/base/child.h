// defines: run_in_child
#pragma once
#include <functional>
#include <string>

namespace longhaul {

/// Runs `work` in a process of its own and returns its text: for library calls that cannot be interrupted, or that may
/// end the process. The child ignores SIGTERM and SIGINT, which a terminal sends to both, and ends with its parent.
/// throws what `work` throws, of the Error kinds; FailureError, naming `what`, when the child was killed; Interrupted,
/// after ending the child, when a stop is asked for meanwhile
std::string run_in_child(const std::string& what, const std::function<std::string()>& work);

}  // namespace longhaul
