// defines: crc32c, masked_crc32c
#pragma once
#include <cstdint>
#include <string_view>

namespace longhaul::train {

/// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected), as in RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view bytes);

/// The form that TFRecord files store: rotated right by 15 bits plus a constant, so that a checksum of data that holds
/// checksums stays useful.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace longhaul::train
