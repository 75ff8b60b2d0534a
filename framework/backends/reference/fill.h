// defines: one fill function per op family of the reference device
#pragma once
#include "framework/kernels/backend.h"

/// Plain loops, one thread: the oracle of every other device and the documentation of what each kernel computes.
/// bf16 operands are widened to f32 as they are read and rounded as they are written; f64 stays f64 throughout.
namespace longhaul::reference {

void fill_attention(kernels::AttentionKernels& kernels);
void fill_merge(kernels::MergeKernels& kernels);
void fill_lsh(kernels::LshKernels& kernels);
void fill_matmul(kernels::MatmulKernels& kernels);
void fill_elementwise(kernels::ElementwiseKernels& kernels);
void fill_norm(kernels::NormKernels& kernels);
void fill_softmax(kernels::SoftmaxKernels& kernels);
void fill_cross_entropy(kernels::CrossEntropyKernels& kernels);
void fill_rows(kernels::RowKernels& kernels);
void fill_rotary(kernels::RotaryKernels& kernels);
void fill_reduce(kernels::ReduceKernels& kernels);
void fill_optimizer(kernels::OptimizerKernels& kernels);

}  // namespace longhaul::reference
