package dev.rheostat.op.cuda;

import dev.rheostat.cuda.CudaApi;
import dev.rheostat.cuda.CudaDevice;
import dev.rheostat.cuda.CudaException;
import java.util.HashMap;
import java.util.Map;

/**
 * The devices that were asked about, open until the process ends. A primary context lives while somebody retains it, and making
 * one takes tenths of a second: what may be used, what is free and every backend share the one that the first question made.
 */
final class HeldDevices {
    private static final Map<Integer, CudaDevice> HELD = new HashMap<>();

    private HeldDevices() {}

    /**
     * The device, current on this thread. Not for the caller to close.
     * @throws CudaException as {@link CudaDevice#open}; nothing is held then
     */
    static synchronized CudaDevice of(CudaApi api, int ordinal) {
        CudaDevice held = HELD.get(ordinal);
        if (held != null && bound(held)) return held;
        HELD.remove(ordinal); // of a context that is gone nothing can be given back
        CudaDevice device = CudaDevice.open(api, ordinal);
        HELD.put(ordinal, device);
        return device;
    }

    private static boolean bound(CudaDevice device) {
        try {
            device.bind();
            return true;
        } catch (CudaException e) {
            return false;
        }
    }

    /** Of a device that is not used after all: its context takes some hundred megabytes of it. */
    static synchronized void letGo(int ordinal) {
        CudaDevice held = HELD.remove(ordinal);
        if (held != null && bound(held)) held.close();
    }
}
