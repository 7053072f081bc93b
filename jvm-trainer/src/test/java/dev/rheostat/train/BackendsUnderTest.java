package dev.rheostat.train;

import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.cpu.CpuBackend;
import dev.rheostat.op.cpu.CpuGemms;
import dev.rheostat.op.cpu.PlainBackend;

/** Every backend that a whole-model test runs on. */
enum BackendsUnderTest {
    PLAIN {
        @Override
        Backend<HostTensor> open() {
            return PlainBackend.open();
        }
    },
    /** Two threads, so that the work is dealt out. */
    CPU {
        @Override
        Backend<HostTensor> open() {
            return CpuBackend.open(new CpuBackend.Settings(2, false, CpuGemms.Choice.AUTO));
        }
    },
    /** Without a native library. */
    CPU_VECTOR {
        @Override
        Backend<HostTensor> open() {
            return CpuBackend.open(new CpuBackend.Settings(2, false, CpuGemms.Choice.VECTOR));
        }
    };

    abstract Backend<HostTensor> open();
}
