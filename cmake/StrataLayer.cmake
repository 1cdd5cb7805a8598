# strata_layer(NAME [DEPENDS layer...] [LINK target...] SOURCES file...): an object library of one folder, with the
# house's flags. Layers are merged into the one library `strata`; tests link the layers, to reach what it hides.
function(strata_flags target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    # -ffp-contract=off: a fused multiply-add appears where the source asks for one and nowhere else, so the same
    # expression gives the same bits in every template instantiation (docs/numerics.md).
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                             -ffp-contract=off
                                             # GCC bug 105329: a false warning about `"text" + std::string`.
                                             $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
    if(STRATA_WERROR)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(STRATA_SANITIZE)
      target_compile_options(${target} PUBLIC -fsanitize=${STRATA_SANITIZE} -fno-omit-frame-pointer
                                              -fno-sanitize-recover=all)
      target_link_options(${target} PUBLIC -fsanitize=${STRATA_SANITIZE})
    endif()
  endif()
endfunction()

function(strata_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPENDS;LINK;SOURCES" ${ARGN})
  add_library(strata_${name} OBJECT ${LAYER_SOURCES})
  strata_flags(strata_${name})
  target_include_directories(strata_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
                                                   ${PROJECT_SOURCE_DIR})
  foreach(layer ${LAYER_DEPENDS})
    target_link_libraries(strata_${name} PUBLIC strata_${layer})
  endforeach()
  target_link_libraries(strata_${name} PUBLIC ${LAYER_LINK})
endfunction()
