# SPDX-License-Identifier: Apache-2.0
# bulbil_room(NAME DEPS ...): one call declares a room's library out of its folder, and its tests out of tests/NAME.
#
# Every .cc of the folder belongs to it (main.cc does not: it is a program's). Tests become one program, NAME_test, label "unit".

add_library(bulbil_warnings INTERFACE)
target_compile_options(bulbil_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                       -Wno-missing-field-initializers $<$<BOOL:${BULBIL_WERROR}>:-Werror>)

function(bulbil_room NAME)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${NAME}/*.cc)
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")
  if(sources)
    add_library(bulbil_${NAME} STATIC ${sources})
    target_link_libraries(bulbil_${NAME} PUBLIC ${ARG_DEPS} PRIVATE bulbil_warnings)
  else()
    add_library(bulbil_${NAME} INTERFACE)
    target_link_libraries(bulbil_${NAME} INTERFACE ${ARG_DEPS})
  endif()
  if(BULBIL_TESTS)
    file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${NAME}/*_test.cc)
    if(tests)
      bulbil_test(${NAME}_test LABEL unit SOURCES ${tests} DEPS bulbil_${NAME})
    endif()
  endif()
endfunction()

# bulbil_test(NAME LABEL unit|sim|fuzz|integration SOURCES ... DEPS ...): a GoogleTest program, each of its tests a ctest.
function(bulbil_test NAME)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPS} bulbil_test_support GTest::gmock bulbil_warnings)
  target_compile_definitions(${NAME} PRIVATE BULBIL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${NAME} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
