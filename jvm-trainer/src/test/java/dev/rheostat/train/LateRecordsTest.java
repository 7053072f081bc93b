package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** A device that is done answers that it is idle; only the record tells whether it has failed. */
class LateRecordsTest {
    private static final LateRecords.Limits AT_ONCE = new LateRecords.Limits(1, 1, 1000);

    /** A backend that answers {@link Backend#busy} and may be abandoned. @param asked runs before it answers */
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
        LateRecords late = new LateRecords(backend(false, () -> arrived.set(true)), AT_ONCE, "step");
        late.arrived(1);
        late.waiting(3, 10, arrived::get);
        assertEquals(1, late.late());
    }

    @Test
    void aDeviceThatEndsAStepWithoutARecordEndsTheRun() {
        LateRecords late = new LateRecords(backend(false, () -> {}), AT_ONCE, "step");
        DeviceException e = assertThrows(DeviceException.class, () -> late.waiting(3, 10, () -> false));
        assertEquals(0, e.getMessage().indexOf("the device has ended step 3 and its record never came"));
    }

    @Test
    void theFirstStepMayTakeLongerThanAnybodyGuessed() {
        LateRecords late = new LateRecords(backend(true, () -> {}), LateRecords.Limits.DEFAULT, "step");
        late.waiting(0, 600_000_000_000L, () -> false);
        assertEquals(0, late.late());
        late.arrived(600_000_000_000L);
        late.waiting(1, 6_001_000_000_000L, () -> false);
        assertEquals(1, late.late());
        DeviceException e =
                assertThrows(DeviceException.class, () -> late.waiting(1, 72_001_000_000_000L, () -> false));
        assertEquals(0, e.getMessage().indexOf("step 1 has been running for 72001.0 s"), e.getMessage());
    }

    /** When a waiting thread that looks in every millisecond asks a busy device, in milliseconds of its wait for one record. */
    private static List<Long> asked(LateRecords.Limits limits, long medianMillis, long untilMillis) {
        List<Long> asked = new ArrayList<>();
        AtomicLong now = new AtomicLong();
        LateRecords late = new LateRecords(backend(true, () -> asked.add(now.get())), limits, "step");
        for (int i = 0; i < 5; i++) late.arrived(medianMillis * 1_000_000);
        for (long millis = 0; millis <= untilMillis; millis++) {
            now.set(millis);
            late.waiting(7, millis * 1_000_000, () -> false);
        }
        return asked;
    }

    /** The prompt question is put long before a record counts as late, and again where it does. */
    @Test
    void aDeviceIsAskedSoonThenEverMoreRarely() {
        assertEquals(
                List.of(500L, 1000L, 2000L, 4000L, 5000L, 10_000L, 20_000L),
                asked(LateRecords.Limits.DEFAULT, 1, 39_999));
        assertEquals(List.of(1200L, 2400L, 4800L, 5000L, 10_000L), asked(LateRecords.Limits.DEFAULT, 400, 19_999));
        assertEquals(List.of(6000L, 12_000L, 20_000L), asked(LateRecords.Limits.DEFAULT, 2000, 39_999));
    }

    /** In steady state the driver hears of nothing but launches. */
    @Test
    void aDeviceWhoseStepsAreAlikeIsNeverAsked() {
        assertEquals(List.of(), asked(LateRecords.Limits.DEFAULT, 1, 499));
        assertEquals(List.of(), asked(LateRecords.Limits.DEFAULT, 400, 1199));
    }

    @Test
    void aRecordThatWasAskedForAndCameInTimeIsNotLate() {
        LateRecords late = new LateRecords(backend(true, () -> {}), LateRecords.Limits.DEFAULT, "step");
        late.arrived(1_000_000);
        for (long millis = 0; millis < 5000; millis++) late.waiting(7, millis * 1_000_000, () -> false);
        assertEquals(0, late.late());
        late.waiting(7, 5_000_000_000L, () -> false);
        late.waiting(7, 10_000_000_000L, () -> false);
        assertEquals(1, late.late());
    }
}
