# Run as: cmake -DINPUT=file -DOUTPUT=file.cpp -DSYMBOL=name -P embed_file.cmake
# Writes INPUT as an array of characters: a string literal over 65,536 bytes draws a pedantic warning, .incbin is not
# portable, and '\x..' keeps bytes from 0x80 on valid where char is signed.
file(READ "${INPUT}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
# The zero at the end keeps the array of an empty file valid; the view leaves it out.
file(WRITE "${OUTPUT}" "#include <gradus_embedded/${SYMBOL}.h>

namespace gradus::embedded {
namespace {
constexpr char bytes[] = {
${bytes}
'\\0'};
}
constinit const std::string_view ${SYMBOL}{bytes, sizeof(bytes) - 1};
}
")
