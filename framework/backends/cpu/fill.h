// defines: one fill function per op family of the cpu device
#pragma once
#include "framework/kernels/backend.h"

/// Threads share fixed blocks of the output, so results never depend on how many threads there are. Sums over blocks
/// are made in block order. f32 and bf16, computed in f32.
namespace longhaul::cpu {

void fill_attention(kernels::AttentionKernels& kernels);
void fill_merge(kernels::MergeKernels& kernels);
void fill_lsh(kernels::LshKernels& kernels);
void fill_matmul(kernels::MatmulKernels& kernels);
void fill_elementwise(kernels::ElementwiseKernels& kernels);
void fill_copies(kernels::ElementwiseKernels& kernels);
void fill_norm(kernels::NormKernels& kernels);
void fill_softmax(kernels::SoftmaxKernels& kernels);
void fill_cross_entropy(kernels::CrossEntropyKernels& kernels);
void fill_rows(kernels::RowKernels& kernels);
void fill_rotary(kernels::RotaryKernels& kernels);
void fill_reduce(kernels::ReduceKernels& kernels);
void fill_optimizer(kernels::OptimizerKernels& kernels);

}  // namespace longhaul::cpu
