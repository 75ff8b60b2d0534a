// defines: thread_count, set_thread_count
#pragma once

namespace longhaul {

/// Threads that kernels of this process use: what set_thread_count said, else the cores of the process's affinity mask.
int thread_count();
/// 1 or more; 0 goes back to the affinity mask. Call from the thread that runs the kernels. Results do not depend on it.
void set_thread_count(int threads);

}  // namespace longhaul
