# SPDX-License-Identifier: Apache-2.0
# The circuits room once more, with the stream type for bulk that the program does not have (circuits/bulk_stream.cc).
file(GLOB circuits_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/circuits/*.cc)
add_library(bulbil_circuits_bulk STATIC EXCLUDE_FROM_ALL ${circuits_sources})
target_compile_definitions(bulbil_circuits_bulk PUBLIC BULBIL_BULK_STREAMS)
target_link_libraries(bulbil_circuits_bulk PUBLIC bulbil_overlay PRIVATE bulbil_warnings)

add_executable(circuits_bench EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/circuits_bench.cc)
target_link_libraries(circuits_bench PRIVATE bulbil_circuits_bulk bulbil_warnings)

find_package(benchmark QUIET)
if(benchmark_FOUND)
  add_executable(circuits_costs EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/circuits_costs.cc)
  target_link_libraries(circuits_costs PRIVATE bulbil_circuits benchmark::benchmark bulbil_warnings)
endif()
