package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** A device that is done answers that it is idle; only the record tells whether it has failed. */
class LateRecordsTest {
    private static final LateRecords.Limits AT_ONCE = new LateRecords.Limits(1, 1, 1000);

    /** A backend of which nothing but {@link Backend#busy} is asked. @param asked runs before it says that it is idle */
    private static Backend<?> idle(Runnable asked) {
        return (Backend<?>) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                    assertEquals("busy", method.getName());
                    asked.run();
                    return false;
                });
    }

    @Test
    void aRecordThatComesWhileTheDeviceIsAskedIsNotLost() {
        AtomicBoolean arrived = new AtomicBoolean();
        LateRecords late = new LateRecords(idle(() -> arrived.set(true)), AT_ONCE);
        late.waiting(3, 10, arrived::get);
        assertEquals(1, late.late());
    }

    @Test
    void aDeviceThatEndsAStepWithoutARecordEndsTheRun() {
        LateRecords late = new LateRecords(idle(() -> {}), AT_ONCE);
        DeviceException e = assertThrows(DeviceException.class, () -> late.waiting(3, 10, () -> false));
        assertEquals(0, e.getMessage().indexOf("the device has ended step 3 and its record never came"));
    }
}
