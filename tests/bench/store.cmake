# SPDX-License-Identifier: Apache-2.0
add_executable(store_bench EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/store_bench.cc)
target_link_libraries(store_bench PRIVATE bulbil_cli bulbil_warnings)
