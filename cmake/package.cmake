# What is installed: headers as <seqgrad/...>, both libraries, and the files by which find_package
# and pkg-config find them.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# The tree's headers include each other by their place in it ("ops/ops.h"); installed ones, which
# are made here, by <seqgrad/ops.h>.
set(SG_HEADERS)
foreach(header core/core.h ops/ops.h models/models.h models/layer.h models/cell.h
               models/attention.h models/decode.h models/text.h models/plot.h optim/optim.h
               cmake/seqgrad.h)
    get_filename_component(name ${header} NAME)
    set(out ${PROJECT_BINARY_DIR}/include/seqgrad/${name})
    add_custom_command(
        OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -D IN=${PROJECT_SOURCE_DIR}/${header} -D OUT=${out} -P
                ${PROJECT_SOURCE_DIR}/cmake/header.cmake
        DEPENDS ${PROJECT_SOURCE_DIR}/${header} ${PROJECT_SOURCE_DIR}/cmake/header.cmake
        VERBATIM)
    list(APPEND SG_HEADERS ${out})
endforeach()
add_custom_target(seqgrad_headers ALL DEPENDS ${SG_HEADERS})
foreach(kind static shared)
    add_dependencies(seqgrad_${kind} seqgrad_headers)
    target_include_directories(seqgrad_${kind} INTERFACE
                               $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
endforeach()
install(FILES ${SG_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/seqgrad)

set(SG_CONFIG ${CMAKE_INSTALL_LIBDIR}/cmake/seqgrad)
install(TARGETS seqgrad_static seqgrad_shared EXPORT seqgrad
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT seqgrad NAMESPACE seqgrad:: FILE seqgradTargets.cmake DESTINATION ${SG_CONFIG})
configure_package_config_file(cmake/seqgradConfig.cmake.in ${PROJECT_BINARY_DIR}/seqgradConfig.cmake
                              INSTALL_DESTINATION ${SG_CONFIG})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/seqgradConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/seqgradConfig.cmake
              ${PROJECT_BINARY_DIR}/seqgradConfigVersion.cmake DESTINATION ${SG_CONFIG})

list(TRANSFORM SG_LIBRARIES PREPEND -l OUTPUT_VARIABLE SG_PRIVATE)
if(SG_LIBRARY_blis)
    list(APPEND SG_PRIVATE -l:libblis.a)
endif()
list(JOIN SG_PRIVATE " " SG_PRIVATE)
file(RELATIVE_PATH SG_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /.)
configure_file(cmake/seqgrad.pc.in ${PROJECT_BINARY_DIR}/seqgrad.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/seqgrad.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
