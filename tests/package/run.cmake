# Installs the build tree BUILD, then builds and runs the project beside this file against what was
# installed, alone in its folders: by find_package, and by hand with pkg-config. KIND is shared or
# static.
set(work ${BUILD}/package/${KIND})
set(prefix ${work}/prefix)
file(REMOVE_RECURSE ${work})

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${work}/build -D KIND=${KIND}
    -D CMAKE_C_COMPILER=${CC} -D CMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/outside)

file(GLOB_RECURSE pc ${prefix}/*/seqgrad.pc)
get_filename_component(pc ${pc} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${pc})
set(options)
set(link)
if(KIND STREQUAL "static")
    set(options --static)
    set(link -static)
endif()
execute_process(COMMAND pkg-config ${options} --cflags --libs seqgrad OUTPUT_VARIABLE flags
                COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
run(${CC} ${link} ${CMAKE_CURRENT_LIST_DIR}/main.c ${CMAKE_CURRENT_LIST_DIR}/own_op.c
    -o ${work}/by_hand ${flags} -lm)
execute_process(COMMAND pkg-config --variable=libdir seqgrad OUTPUT_VARIABLE libdir
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(ENV{LD_LIBRARY_PATH} ${libdir})
run(${work}/by_hand)
