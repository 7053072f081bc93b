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

    /** A backend that is asked whether it is busy, and may be abandoned. @param asked runs before it answers */
    private static Backend<?> backend(boolean busy, Runnable asked) {
        return (Backend<?>) Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                    if (method.getName().equals("abandon")) return null;
                    assertEquals("busy", method.getName());
                    asked.run();
                    return busy;
                });
    }

    @Test
    void aRecordThatComesWhileTheDeviceIsAskedIsNotLost() {
        AtomicBoolean arrived = new AtomicBoolean();
        LateRecords late = new LateRecords(backend(false, () -> arrived.set(true)), AT_ONCE);
        late.arrived(1);
        late.waiting(3, 10, arrived::get);
        assertEquals(1, late.late());
    }

    @Test
    void aDeviceThatEndsAStepWithoutARecordEndsTheRun() {
        LateRecords late = new LateRecords(backend(false, () -> {}), AT_ONCE);
        DeviceException e = assertThrows(DeviceException.class, () -> late.waiting(3, 10, () -> false));
        assertEquals(0, e.getMessage().indexOf("the device has ended step 3 and its record never came"));
    }

    @Test
    void theFirstStepMayTakeLongerThanAnybodyGuessed() {
        LateRecords late = new LateRecords(backend(true, () -> {}), new LateRecords.Limits(5_000_000_000L, 10, 12));
        late.waiting(0, 600_000_000_000L, () -> false);
        assertEquals(0, late.late());
        late.arrived(600_000_000_000L);
        late.waiting(1, 6_001_000_000_000L, () -> false);
        assertEquals(1, late.late());
        DeviceException e =
                assertThrows(DeviceException.class, () -> late.waiting(1, 72_001_000_000_000L, () -> false));
        assertEquals(0, e.getMessage().indexOf("step 1 has been running for 72001.0 s"), e.getMessage());
    }
}
