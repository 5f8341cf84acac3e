// Matrix products of a whole warp, and loading their operands from shared memory. All 32 lanes must make the call.
//
// A fragment register holds two bf16, the lower column (or row) in the low half. With g = lane / 4 and t = lane % 4:
//   a (16 x 16): a[0] row g, columns 2t, 2t+1;  a[1] row g+8;  a[2] row g, columns 2t+8, 2t+9;  a[3] row g+8 of those
//   b (16 x 8):  b[0] rows 2t, 2t+1 of column g;  b[1] rows 2t+8, 2t+9
//   d (16 x 8):  d[0], d[1] row g, columns 2t, 2t+1;  d[2], d[3] row g+8
// (PTX ISA, mma.m16n8k16 with bf16 operands.)
#pragma once

#include <cuda_runtime.h>

namespace dllm::cuda {

// d += a b, summed in float32
__device__ __forceinline__ void mma_bf16_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ unsigned shared_address(const void* shared) {
    return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

// Four 8 x 8 matrices of 16-bit elements. Lane 8i + j passes the start of row j of matrix i: 16 bytes in shared memory,
// aligned to 16. r[i] gets row g, columns 2t and 2t+1 of matrix i.
__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const void* shared_row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(shared_row))
                 : "memory");
}

// The same with every matrix transposed: r[i] gets rows 2t and 2t+1 of column g of matrix i.
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&r)[4], const void* shared_row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(shared_row))
                 : "memory");
}

}  // namespace dllm::cuda
