package jcuda;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * The numbers inside JCuda's handles, which only classes of this package may read; the writing goes past a private field,
 * because most handle types have no constructor that takes a number. Works where JCuda is on the class path, as it must be.
 * Used by {@code dev.rheostat.cuda.jcuda} alone.
 */
public final class RheostatHandles {
    private static final VarHandle NATIVE_POINTER = nativePointer();

    private RheostatHandles() {}

    private static VarHandle nativePointer() {
        try {
            return MethodHandles.privateLookupIn(NativePointerObject.class, MethodHandles.lookup())
                    .findVarHandle(NativePointerObject.class, "nativePointer", long.class);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("this JCuda keeps its handles differently: " + e, e);
        }
    }

    /** The handle's number. Of a pointer, the address it points to, its offset included. */
    public static long get(NativePointerObject handle) {
        long offset = handle instanceof Pointer pointer ? pointer.getByteOffset() : 0;
        return handle.getNativePointer() + offset;
    }

    /** Sets the number of a handle that was just made. @return the handle */
    public static <H extends NativePointerObject> H set(H handle, long number) {
        NATIVE_POINTER.set((NativePointerObject) handle, number);
        return handle;
    }

    /** A pointer to native memory. */
    public static Pointer pointer(long address) {
        return new Pointer(address);
    }
}
