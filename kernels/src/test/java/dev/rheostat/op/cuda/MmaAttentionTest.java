package dev.rheostat.op.cuda;

import dev.rheostat.op.AttentionShape;

class MmaAttentionTest extends AttentionKernelsTest {
    @Override
    AttentionKernels kernels(CudaOps ops, AttentionShape shape) {
        return new MmaAttention(ops, shape);
    }
}
