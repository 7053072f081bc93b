package dev.rheostat.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.rheostat.op.DType;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.Tensor;
import dev.rheostat.op.cpu.PlainBackend;
import dev.rheostat.op.cuda.CudaBackend;
import dev.rheostat.op.cuda.DeviceTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Where cases are made: a GPU that they run on, the definitions that they are held against, and a shape. */
final class KernelCases {
    /** What {@code --op} names, and the cases of each. A family's memory is free again before the next one's is taken. */
    static final Map<String, Function<KernelCases, List<KernelCase>>> FAMILIES = families();

    private static Map<String, Function<KernelCases, List<KernelCase>>> families() {
        Map<String, Function<KernelCases, List<KernelCase>>> all = new LinkedHashMap<>();
        all.put("embedding", TokenCases::embedding);
        all.put("norm", RowCases::norm);
        all.put("layer-norm", RowCases::layerNorm);
        all.put("rotary", RowCases::rotary);
        all.put("attention", TensorCoreCases::attention);
        all.put("swiglu", RowCases::swiglu);
        all.put("gelu", RowCases::gelu);
        all.put("products", TensorCoreCases::products);
        all.put("loss", LossCases::loss);
        all.put("adamw", TokenCases::adamW);
        all.put("elements", RowCases::elements);
        all.put("step-io", TokenCases::stepIo);
        return all;
    }

    private static final String PURPOSE = "benchmark";

    final CudaBackend gpu;
    final PlainBackend cpu;
    final KernelShape shape;
    private long seed;

    KernelCases(CudaBackend gpu, PlainBackend cpu, KernelShape shape) {
        this.gpu = gpu;
        this.cpu = cpu;
        this.shape = shape;
    }

    /** Another one at each call. */
    Pattern normal() {
        return normal(1);
    }

    Pattern normal(double deviation) {
        return Pattern.normal(++seed, deviation);
    }

    /** Uninitialised to the reader: an output. */
    DeviceTensor bf16(long... dims) {
        return gpu.allocate(PURPOSE, DType.BF16, dims);
    }

    DeviceTensor bf16(Pattern pattern, long... dims) {
        return pattern.fill(gpu, bf16(dims));
    }

    DeviceTensor f32(long... dims) {
        return gpu.allocate(PURPOSE, DType.F32, dims);
    }

    DeviceTensor f32(Pattern pattern, long... dims) {
        return pattern.fill(gpu, f32(dims));
    }

    DeviceTensor ints(Pattern pattern, long... dims) {
        return pattern.fill(gpu, gpu.allocate(PURPOSE, DType.I32, dims));
    }

    DeviceTensor weights(Pattern pattern, long count) {
        return pattern.fillWeights(gpu, gpu.allocateWeights(PURPOSE, count));
    }

    /** A host tensor, zeros. */
    HostTensor host(long... dims) {
        return cpu.allocate(PURPOSE, DType.F32, dims);
    }

    DeviceTensor longs(long... dims) {
        return gpu.allocate(PURPOSE, DType.I64, dims);
    }

    HostTensor hostLongs(long... dims) {
        return cpu.allocate(PURPOSE, DType.I64, dims);
    }

    /** What lies on the device from an element on, as f32 on the host. */
    HostTensor host(Pattern pattern, long from, long... dims) {
        HostTensor x = host(dims);
        for (long i = 0; i < x.size(); i++) x.setFloat(i, pattern.at(from + i));
        return x;
    }

    HostTensor hostInts(Pattern pattern, long from, long count) {
        HostTensor x = cpu.allocate(PURPOSE, DType.I32, count);
        for (long i = 0; i < count; i++) x.setInt(i, pattern.intAt(from + i));
        return x;
    }

    /** Elements of a device tensor, f32, bf16 or whole numbers. */
    double[] values(DeviceTensor x, long from, int count) {
        double[] values = new double[count];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate((long) count * x.type().bytes(), 8);
            gpu.download(bytes, gpu.view(x, from, count));
            for (int i = 0; i < count; i++)
                values[i] = switch (x.type()) {
                    case F32 -> bytes.getAtIndex(JAVA_FLOAT, i);
                    case BF16 -> Float.intBitsToFloat(bytes.getAtIndex(JAVA_SHORT, i) << 16);
                    case I32 -> bytes.getAtIndex(JAVA_INT, i);
                    case I64 -> bytes.getAtIndex(JAVA_LONG, i);
                    case F64 -> throw new IllegalArgumentException(x.describe());
                };
        }
        return values;
    }

    static double[] values(HostTensor x) {
        double[] values = new double[(int) x.size()];
        for (int i = 0; i < values.length; i++) values[i] = x.getFloat(i);
        return values;
    }

    /** The device's elements from an element on, against all of the host's. */
    double error(DeviceTensor is, long from, HostTensor wanted) {
        return error(values(is, from, (int) wanted.size()), values(wanted));
    }

    /** Root of the mean square of the differences over that of what is wanted; a NaN stays one. */
    static double error(double[] is, double[] wanted) {
        double differences = 0, squares = 0;
        for (int i = 0; i < wanted.length; i++) {
            differences += (is[i] - wanted[i]) * (is[i] - wanted[i]);
            squares += wanted[i] * wanted[i];
        }
        return squares == 0 ? Math.sqrt(differences) : Math.sqrt(differences / squares);
    }

    /** For messages: "(65536, 768)". */
    static String sizes(Tensor x) {
        String text = x.describe();
        return "(" + text.substring(text.indexOf('[') + 1, text.length() - 1) + ")";
    }
}
