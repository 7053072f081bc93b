package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.DType;
import dev.rheostat.op.Embedding;
import dev.rheostat.op.Gemm;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.DoubleUnaryOperator;

/**
 * What bf16 costs at least: the CPU's ops, with a loss of precision after each of them wherever a device stores bf16. Activations are
 * f32 tensors that lose it after every op they are given to; products, look-ups and the loss head read a copy of the
 * weights that has lost it, made anew when a weight is uploaded or updated. Nothing that an op keeps to itself is touched.
 */
final class PlainBf16 implements InvocationHandler {
    /** Of the 24 bits of an f32 a bf16 keeps 8, so half a unit in the last place is 2^-9 to 2^-8 of the value. */
    private static final double HALF_UNIT = 0x1p-9;

    /** Read with the precision of bf16 where a device has a bf16 copy of the weights. */
    private static final List<Class<?>> READS_COPIES = List.of(Gemm.class, Embedding.class, LossHead.class);

    /** @param copy null for an activation */
    private record Region(HostTensor whole, HostTensor copy) {
        boolean holds(HostTensor tensor) {
            return tensor.memory().address() + tensor.bytes() <= whole.memory().address() + whole.bytes();
        }

        /** The elements of {@code tensor}, a view of the whole, in the copy. */
        HostTensor copyOf(HostTensor tensor) {
            long[] shape = new long[tensor.rank()];
            for (int axis = 0; axis < shape.length; axis++) shape[axis] = tensor.dim(axis);
            long offset = (tensor.memory().address() - whole.memory().address()) / Float.BYTES;
            return copy.view(offset, shape);
        }
    }

    private final Backend<HostTensor> exact;
    private final DoubleUnaryOperator loss;
    private final TreeMap<Long, Region> regions = new TreeMap<>();

    private PlainBf16(Backend<HostTensor> exact, DoubleUnaryOperator loss) {
        this.exact = exact;
        this.loss = loss;
    }

    /** Every stored value is rounded to bf16. */
    static Backend<HostTensor> rounding(Backend<HostTensor> exact) {
        return over(exact, value -> {
            int bits = Float.floatToRawIntBits((float) value);
            return Float.intBitsToFloat((bits + 0x7fff + (bits >>> 16 & 1)) & 0xffff0000);
        });
    }

    /** Every stored value is moved by up to half a unit of bf16, at random: how far apart two equally good roundings end. */
    static Backend<HostTensor> moving(Backend<HostTensor> exact, long seed) {
        Random random = new Random(seed);
        return over(exact, value -> value * (1 + HALF_UNIT * (2 * random.nextDouble() - 1)));
    }

    @SuppressWarnings("unchecked")
    private static Backend<HostTensor> over(Backend<HostTensor> exact, DoubleUnaryOperator loss) {
        return (Backend<HostTensor>) proxy(Backend.class, new PlainBf16(exact, loss));
    }

    private static Object proxy(Class<?> type, InvocationHandler handler) {
        return Proxy.newProxyInstance(PlainBf16.class.getClassLoader(), new Class<?>[] {type}, handler);
    }

    @Override
    public Object invoke(Object proxy, Method method, Object[] arguments) throws Throwable {
        return switch (method.getName()) {
            case "activationType" -> DType.BF16;
            case "allocate" -> {
                if (arguments[1] != DType.BF16) yield call(exact, method, arguments);
                HostTensor activation = exact.allocate((String) arguments[0], DType.F32, (long[]) arguments[2]);
                yield put(activation, null);
            }
            case "allocateWeights" -> {
                HostTensor weights = exact.allocateWeights((String) arguments[0], (long) arguments[1]);
                yield put(weights, exact.allocate("bf16 copy", DType.F32, (long) arguments[1]));
            }
            case "upload" -> {
                call(exact, method, arguments);
                copied((HostTensor) arguments[0]);
                yield null;
            }
            case "gemm", "norm", "embedding", "activation", "qkRotary", "attention", "lossHead", "adamW" ->
                op(method.getReturnType(), call(exact, method, arguments));
            default -> call(exact, method, arguments);
        };
    }

    private Object op(Class<?> type, Object op) {
        boolean readsCopies = READS_COPIES.contains(type);
        return proxy(type, (proxy, method, arguments) -> {
            if (arguments == null) return call(op, method, null);
            Object[] given = arguments.clone();
            Map<HostTensor, float[]> before = new LinkedHashMap<>();
            for (int i = 0; i < given.length; i++)
                if (given[i] instanceof HostTensor tensor) {
                    if (isActivation(tensor)) before.put(tensor, tensor.memory().toArray(JAVA_FLOAT));
                    else if (readsCopies) given[i] = read(tensor);
                }
            Object result = call(op, method, given);
            before.forEach(this::stored);
            if (op instanceof AdamW) copied((HostTensor) arguments[0]);
            return result;
        });
    }

    private static Object call(Object on, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(on, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private HostTensor put(HostTensor tensor, HostTensor copy) {
        regions.put(tensor.memory().address(), new Region(tensor, copy));
        return tensor;
    }

    /** Null for what is f32 on a device too. */
    private Region region(HostTensor tensor) {
        var entry = regions.floorEntry(tensor.memory().address());
        return entry != null && entry.getValue().holds(tensor) ? entry.getValue() : null;
    }

    private boolean isActivation(HostTensor tensor) {
        Region region = region(tensor);
        return region != null && region.copy == null;
    }

    private HostTensor read(HostTensor tensor) {
        Region region = region(tensor);
        return region == null || region.copy == null ? tensor : region.copyOf(tensor);
    }

    /** What an op has written loses its precision; what it has only read has done so before. */
    private void stored(HostTensor activation, float[] before) {
        for (int i = 0; i < before.length; i++) {
            float value = activation.getFloat(i);
            if (Float.floatToRawIntBits(value) != Float.floatToRawIntBits(before[i]))
                activation.setFloat(i, (float) loss.applyAsDouble(value));
        }
    }

    /** Of a weight that was written the copy is made anew. */
    private void copied(HostTensor tensor) {
        HostTensor copy = read(tensor);
        if (copy == tensor) return;
        for (long i = 0; i < tensor.size(); i++) copy.setFloat(i, (float) loss.applyAsDouble(tensor.getFloat(i)));
    }
}
