// defines: kSanitized
#pragma once

namespace longhaul::testing {

/// Whether the address or the thread sanitizer is built in: both keep much memory of their own, and terabytes of
/// address space.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace longhaul::testing
