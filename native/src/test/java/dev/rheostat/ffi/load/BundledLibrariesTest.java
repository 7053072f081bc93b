package dev.rheostat.ffi.load;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BundledLibrariesTest {
    /** Any resource in a jar will do. */
    private static final String RESOURCE = "org/junit/jupiter/api/Test.class";

    @TempDir
    private Path folder;

    @Test
    void aLibraryIsUnpackedOnceAndADamagedCopyIsReplaced() throws IOException {
        Path unpacked = BundledLibraries.unpack(RESOURCE, List.of(folder));
        byte[] bytes = Files.readAllBytes(unpacked);
        long written = Files.getLastModifiedTime(unpacked).toMillis();
        assertEquals(unpacked, BundledLibraries.unpack(RESOURCE, List.of(folder)));
        assertEquals(written, Files.getLastModifiedTime(unpacked).toMillis());
        byte[] damaged = bytes.clone();
        damaged[10] ^= 1;
        Files.write(unpacked, damaged);
        BundledLibraries.unpack(RESOURCE, List.of(folder));
        assertArrayEquals(bytes, Files.readAllBytes(unpacked));
    }

    @Test
    void aFolderThatCannotBeWrittenIsPassedOver() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "in the way");
        Path unpacked = BundledLibraries.unpack(RESOURCE, List.of(file.resolve("natives"), folder.resolve("other")));
        assertTrue(unpacked.startsWith(folder.resolve("other")));
    }

    @Test
    void everyReasonOfAFailureIsTold() throws IOException {
        Path one = Files.writeString(folder.resolve("one"), ""), two = Files.writeString(folder.resolve("two"), "");
        String message = assertThrows(
                        IOException.class,
                        () -> BundledLibraries.unpack(RESOURCE, List.of(one.resolve("x"), two.resolve("x"))))
                .getMessage();
        assertTrue(message.contains(one.toString()) && message.contains(two.toString()), message);
        assertTrue(assertThrows(IOException.class, () -> BundledLibraries.unpack("no/such.so", List.of(folder)))
                .getMessage()
                .contains("no/such.so"));
    }

    @Test
    void theCacheIsTheUsersOrATemporaryOne() {
        assertEquals(
                Path.of("/c/rheostat/natives"),
                BundledLibraries.cacheFolders(Map.of("XDG_CACHE_HOME", "/c", "HOME", "/h"))
                        .getFirst());
        assertEquals(
                Path.of("/h/.cache/rheostat/natives"),
                BundledLibraries.cacheFolders(Map.of("HOME", "/h", "XDG_CACHE_HOME", "relative"))
                        .getFirst());
        assertEquals(1, BundledLibraries.cacheFolders(Map.of()).size());
    }

    @Test
    void aLibraryThatIsNotThereKeepsItsReasons() {
        NativeLibrary none = NativeLibrary.open(
                "nothing", List.of("/no/such/lib.so", folder.resolve("other.so").toString()));
        assertFalse(none.status().available());
        assertTrue(
                none.status().detail().contains("/no/such/lib.so"),
                none.status().detail());
        assertThrows(
                IllegalStateException.class, () -> none.downcall("f", FunctionDescriptor.of(ValueLayout.JAVA_INT)));
    }
}
