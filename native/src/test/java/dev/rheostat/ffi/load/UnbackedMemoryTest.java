package dev.rheostat.ffi.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class UnbackedMemoryTest {
    @Test
    void itHasASizeAndSlicesAndNoAccess() {
        MemorySegment memory = UnbackedMemory.of(1L << 50);
        assertEquals(1L << 50, memory.byteSize());
        MemorySegment slice = memory.asSlice(1L << 49, 64);
        assertEquals(64, slice.byteSize());
        assertThrows(IllegalStateException.class, () -> slice.get(ValueLayout.JAVA_INT, 0));
        assertThrows(IllegalStateException.class, () -> slice.fill((byte) 0));
        assertThrows(
                IllegalStateException.class,
                () -> MemorySegment.ofArray(new byte[64]).copyFrom(slice));
    }
}
