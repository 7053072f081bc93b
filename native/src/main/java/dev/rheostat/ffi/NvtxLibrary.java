package dev.rheostat.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.rheostat.ffi.load.NativeLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * Downcalls for nvToolsExt.h: ranges of one domain. Handles link when the class is initialised: ask
 * {@link CudaLibrary#NVTX} first.
 */
public final class NvtxLibrary {
    private static final short NVTX_VERSION = 3, ATTRIBUTES_BYTES = 48;
    private static final int MESSAGE_TYPE_REGISTERED = 3;

    // nvtxDomainHandle_t nvtxDomainCreateA(const char* name)
    private static final MethodHandle DOMAIN_CREATE =
            CudaLibrary.NVTX.downcall("nvtxDomainCreateA", FunctionDescriptor.of(JAVA_LONG, ADDRESS));
    // nvtxStringHandle_t nvtxDomainRegisterStringA(nvtxDomainHandle_t, const char* text)
    private static final MethodHandle REGISTER = CudaLibrary.NVTX.downcall(
            "nvtxDomainRegisterStringA", FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, ADDRESS));
    // int nvtxDomainRangePushEx(nvtxDomainHandle_t, const nvtxEventAttributes_t*)
    private static final MethodHandle PUSH = CudaLibrary.NVTX.downcall("nvtxDomainRangePushEx", JAVA_LONG, ADDRESS);
    // int nvtxDomainRangePop(nvtxDomainHandle_t)
    private static final MethodHandle POP = CudaLibrary.NVTX.downcall("nvtxDomainRangePop", JAVA_LONG);

    private NvtxLibrary() {}

    /** @return the domain's handle; 0 where no tool listens */
    public static long domainCreate(String name) {
        try (Arena arena = Arena.ofConfined()) {
            return (long) DOMAIN_CREATE.invokeExact(arena.allocateFrom(name));
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("nvtxDomainCreateA", t);
        }
    }

    /**
     * The attributes of a range with this name, for {@link #push}: nvtxEventAttributes_t { u16 version, size; u32 category;
     * i32 colorType; u32 color; i32 payloadType, reserved; u64 payload; i32 messageType; pad; handle message; }, 48 bytes.
     */
    public static MemorySegment attributes(long domain, String name, Arena arena) {
        MemorySegment attributes = arena.allocate(ATTRIBUTES_BYTES, 8);
        attributes.set(JAVA_SHORT, 0, NVTX_VERSION);
        attributes.set(JAVA_SHORT, 2, ATTRIBUTES_BYTES);
        attributes.set(JAVA_INT, 32, MESSAGE_TYPE_REGISTERED);
        try {
            attributes.set(JAVA_LONG, 40, (long) REGISTER.invokeExact(domain, arena.allocateFrom(name)));
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("nvtxDomainRegisterStringA", t);
        }
        return attributes;
    }

    /** @return how deep the range lies in those of this thread, from 0; negative where no tool listens */
    public static int push(long domain, MemorySegment attributes) {
        try {
            return (int) PUSH.invokeExact(domain, attributes);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("nvtxDomainRangePushEx", t);
        }
    }

    /** As {@link #push} answers, of the range that ends. */
    public static int pop(long domain) {
        try {
            return (int) POP.invokeExact(domain);
        } catch (Throwable t) {
            throw NativeLibrary.unexpected("nvtxDomainRangePop", t);
        }
    }
}
