# A header of the tree, IN, as it is installed, OUT: "core/core.h" becomes <seqgrad/core.h>.
file(READ ${IN} text)
string(REGEX REPLACE "#include \"[a-z]+/([a-z]+\\.h)\"" "#include <seqgrad/\\1>" text "${text}")
if(text MATCHES "#include \"")
    message(FATAL_ERROR "${IN}: includes a header that is not installed")
endif()
file(WRITE ${OUT} "${text}")
