# The version header is written at configure time, so that `longhaul --version` names the revision it was built from.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --short=12 HEAD OUTPUT_VARIABLE LONGHAUL_REVISION
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT LONGHAUL_REVISION)
  set(LONGHAUL_REVISION unknown)
endif()
configure_file(${CMAKE_SOURCE_DIR}/cmake/version.h.in ${CMAKE_BINARY_DIR}/generated/longhaul_version.h @ONLY)
include_directories(${CMAKE_BINARY_DIR}/generated)
