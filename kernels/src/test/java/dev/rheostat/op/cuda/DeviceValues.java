package dev.rheostat.op.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Arrays of the JVM in device tensors and back, for tests. Every call waits for the device. */
final class DeviceValues {
    private final Backend<DeviceTensor> backend;

    DeviceValues(Backend<DeviceTensor> backend) {
        this.backend = backend;
    }

    DeviceTensor floats(float... values) {
        DeviceTensor x = backend.allocate("test", DType.F32, values.length);
        set(x, values);
        return x;
    }

    /** f32 masters with their bf16 copy. */
    DeviceTensor weights(float... values) {
        DeviceTensor x = backend.allocateWeights("test", values.length);
        set(x, values);
        return x;
    }

    void set(DeviceTensor x, float... values) {
        upload(x, MemorySegment.ofArray(values));
    }

    /** Each rounded to bf16, ties to even. */
    DeviceTensor bf16(float... values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) bits[i] = roundedToBf16(values[i]);
        DeviceTensor x = backend.allocate("test", DType.BF16, values.length);
        upload(x, MemorySegment.ofArray(bits));
        return x;
    }

    DeviceTensor ints(int... values) {
        DeviceTensor x = backend.allocate("test", DType.I32, values.length);
        upload(x, MemorySegment.ofArray(values));
        return x;
    }

    void setInts(DeviceTensor x, int... values) {
        upload(x, MemorySegment.ofArray(values));
    }

    void setLongs(DeviceTensor x, long... values) {
        upload(x, MemorySegment.ofArray(values));
    }

    /** The driver reads memory that the collector does not move. */
    private void upload(DeviceTensor to, MemorySegment from) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment native_ = arena.allocate(to.bytes(), HostTensor.ALIGNMENT);
            native_.copyFrom(from);
            backend.upload(to, native_);
        }
    }

    /** The upper half of the float, rounded; a NaN is not looked for. */
    static short roundedToBf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
    }

    byte[] bytes(DeviceTensor x) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment native_ = arena.allocate(x.bytes(), HostTensor.ALIGNMENT);
            backend.download(native_, x);
            return native_.toArray(JAVA_BYTE);
        }
    }

    float[] floats(DeviceTensor x) {
        return aligned(x).toArray(JAVA_FLOAT);
    }

    int[] ints(DeviceTensor x) {
        return aligned(x).toArray(JAVA_INT);
    }

    long[] longs(DeviceTensor x) {
        return aligned(x).toArray(JAVA_LONG);
    }

    short[] bf16Bits(DeviceTensor x) {
        return aligned(x).toArray(JAVA_SHORT);
    }

    float[] bf16(DeviceTensor x) {
        short[] bits = bf16Bits(x);
        float[] values = new float[bits.length];
        for (int i = 0; i < bits.length; i++) values[i] = Float.intBitsToFloat(bits[i] << 16);
        return values;
    }

    private MemorySegment aligned(DeviceTensor x) {
        MemorySegment copy = Arena.ofAuto().allocate(x.bytes(), HostTensor.ALIGNMENT);
        backend.download(copy, x);
        return copy;
    }
}
