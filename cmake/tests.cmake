# One test program per folder of tests/ that holds .cpp files; ctest runs every GoogleTest case by its own name.
# tests/support holds what several of them share.
find_package(GTest REQUIRED)
include(GoogleTest)
file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*.cpp)
set(folders "")
foreach(source IN LISTS test_sources)
  cmake_path(GET source PARENT_PATH folder)
  list(APPEND folders ${folder})
endforeach()
list(REMOVE_DUPLICATES folders)
list(REMOVE_ITEM folders ${CMAKE_SOURCE_DIR}/tests/support)
longhaul_module(test_support tests/support LINK lh_train GTest::gtest)
foreach(folder IN LISTS folders)
  cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${CMAKE_SOURCE_DIR}/tests OUTPUT_VARIABLE name)
  string(REPLACE "/" "_" name ${name})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  add_executable(test_${name} ${sources})
  target_link_libraries(test_${name} PRIVATE lh_test_support GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(test_${name} PRIVATE LONGHAUL_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             LONGHAUL_PROGRAM="${CMAKE_BINARY_DIR}/longhaul")
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES LABELS ${name})
endforeach()
