# Installs the library `strata`, its public headers and the files by which CMake and pkg-config find it.
# The target must be made of its layers' objects ($<TARGET_OBJECTS:...>), so that nothing but strata is exported.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS strata EXPORT strata-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/strata DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(strata_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/strata)
install(EXPORT strata-targets NAMESPACE strata:: DESTINATION ${strata_cmake_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/strata-config.cmake.in
                              ${PROJECT_BINARY_DIR}/package/strata-config.cmake INSTALL_DESTINATION ${strata_cmake_dir})
# Before 1.0 a minor release may break what the last one promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/strata-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/strata-config.cmake
              ${PROJECT_BINARY_DIR}/package/strata-config-version.cmake
        DESTINATION ${strata_cmake_dir})

# A relative prefix lets the installed tree be moved.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(strata_pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(strata_pc_libdir ${CMAKE_INSTALL_LIBDIR})
else()
  file(RELATIVE_PATH strata_pc_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" strata_pc_prefix "\${pcfiledir}/${strata_pc_prefix}")
  set(strata_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(strata_pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(strata_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/strata.pc.in ${PROJECT_BINARY_DIR}/package/strata.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/strata.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
