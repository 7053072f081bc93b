// rheostat.cu: all kernels as one unit, which is what nvcc and NVRTC compile for the GPU (kernels/build-images, -Pnvrtc).
// One image is one module to load, and the shared header is parsed once. Helpers live in a namespace of their file.
#include "activation.cu"
#include "adamw.cu"
#include "attention.cu"
#include "attention_hopper.cu"
#include "attention_hopper_heads.cu"
#include "elements.cu"
#include "embedding.cu"
#include "loss_head.cu"
#include "norm.cu"
#include "qk_rotary.cu"
#include "step_io.cu"
