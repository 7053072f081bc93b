/** CUDA as Java sees it: devices, streams, graphs, memory and kernels, each closed by who opened it; no idea what a model is. */
package dev.rheostat.cuda;
