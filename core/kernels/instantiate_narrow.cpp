// Compiled like instantiate.cpp, and for AVX-512 with VNNI too: the kernels of narrow matrices.
#include <gradus/core/kernels/narrow.h>

namespace gradus::kernels::GRADUS_ISA_NAME {

constexpr NarrowKernels table_narrow{
    .pack = narrow_pack, .input = narrow_input, .product = narrow_product, .widen = narrow_widen};

}  // namespace gradus::kernels::GRADUS_ISA_NAME
