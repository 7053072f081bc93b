package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.op.Backend;
import dev.rheostat.op.DeviceException;
import java.lang.reflect.Proxy;
import org.junit.jupiter.api.Test;

class LateRecordsTest {
    private static final LateRecords.Limits LIMITS = new LateRecords.Limits(100, 10, 12);

    private boolean busy, abandoned, arrived, arrivesWhileAsked;
    private int asked;

    private final Backend<?> backend = (Backend<?>) Proxy.newProxyInstance(
            LateRecordsTest.class.getClassLoader(), new Class<?>[] {Backend.class}, (proxy, method, arguments) -> {
                switch (method.getName()) {
                    case "busy" -> {
                        asked++;
                        arrived |= arrivesWhileAsked;
                        return busy;
                    }
                    case "abandon" -> abandoned = true;
                    default -> throw new AssertionError(method);
                }
                return null;
            });

    private final LateRecords late = new LateRecords(backend, LIMITS);

    private void waiting(long nanos) {
        late.waiting(7, nanos, step -> arrived);
    }

    @Test
    void aBusyDeviceIsAskedOnceAndAgainEachTimeTheWaitHasDoubled() {
        busy = true;
        for (long nanos = 0; nanos < 1000; nanos++) waiting(nanos);
        assertEquals(4, asked, "at 100, 200, 400 and 800");
        assertEquals(1, late.late());
    }

    @Test
    void tenMedianStepsAreNotLate() {
        busy = true;
        for (long nanos : new long[] {5, 50, 50, 50, 4000}) late.arrived(nanos);
        waiting(499);
        assertEquals(0, asked);
        waiting(500);
        assertEquals(1, asked);
    }

    @Test
    void aRecordThatNeverCameEndsTheRun() {
        String sentence = assertThrows(DeviceException.class, () -> waiting(100)).getMessage();
        assertTrue(sentence.contains("ended step 7 and its record never came"), sentence);
    }

    @Test
    void aRecordThatComesWhileTheDeviceIsAskedIsLateAndNoMore() {
        arrivesWhileAsked = true;
        waiting(100);
        assertEquals(1, late.late());
    }

    @Test
    void aDeviceThatHangsIsAbandoned() {
        busy = true;
        waiting(1200);
        assertFalse(abandoned);
        String sentence =
                assertThrows(DeviceException.class, () -> waiting(2400)).getMessage();
        assertTrue(sentence.contains("the device hangs"), sentence);
        assertTrue(abandoned);
    }
}
