package dev.rheostat.ffi.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.cuda.Stubs;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeLibraryTest {
    private static final FunctionDescriptor INT = FunctionDescriptor.of(ValueLayout.JAVA_INT);

    @TempDir
    private Path folder;

    @Test
    void theFirstCandidateThatOpensIsTakenAndTheRefusalsAreKept() throws Throwable {
        Path text = Files.writeString(folder.resolve("text.so"), "not a library");
        Path good = Stubs.library(folder.resolve("good.so"), "extern \"C\" int answer() { return 42; }");
        String absent = folder.resolve("absent.so").toString();
        NativeLibrary library =
                NativeLibrary.open("test", List.of(absent, text.toString(), good.toString(), "/not/reached.so"));
        assertTrue(library.status().available());
        assertEquals(good.toString(), library.status().detail());
        List<String> refusals = library.status().refusals();
        assertEquals(2, refusals.size(), refusals::toString);
        assertEquals(absent + ": no such file", refusals.get(0));
        assertTrue(refusals.get(1).startsWith(text + ": "), refusals::toString);
        assertTrue(refusals.get(1).matches(".*(invalid ELF header|file too short).*"), refusals::toString);
        assertEquals(42, (int) library.downcall("answer", INT).invokeExact());
        assertTrue(library.has("answer"));
        assertFalse(library.has("question"));
        AssertionError e = assertThrows(AssertionError.class, () -> library.downcall("question", INT));
        assertTrue(e.getMessage().contains("question") && e.getMessage().contains(good.toString()), e.getMessage());
    }

    @Test
    void aSiblingThatIsMissingIsNamed() throws Exception {
        Path sibling = Stubs.library(folder.resolve("libsibling.so"), "extern \"C\" int s() { return 1; }");
        Path needs = Stubs.library(
                folder.resolve("libneeds.so"),
                "extern \"C\" int s(); extern \"C\" int n() { return s(); }",
                "-L" + folder,
                "-lsibling");
        Files.delete(sibling);
        NativeLibrary library = NativeLibrary.open("test", List.of(needs.toString()));
        assertFalse(library.status().available());
        assertTrue(
                library.status().detail().contains("libsibling.so: cannot open shared object file"),
                library.status().detail());
        assertFalse(library.has("n"));
        IllegalStateException e = assertThrows(IllegalStateException.class, () -> library.downcall("n", INT));
        assertEquals(library.status().detail(), e.getMessage());
    }

    @Test
    void aLibraryThatIsOpenForOthersServesTheirSoname() throws Exception {
        Path first = Stubs.library(
                folder.resolve("hidden/somewhere.so"),
                "extern \"C\" int base() { return 7; }",
                "-Wl,-soname,libbase-of-test.so.1");
        Path second = Stubs.library(
                folder.resolve("user.so"),
                "extern \"C\" int base(); extern \"C\" int twice() { return 2 * base(); }",
                first.toString());
        assertTrue(NativeLibrary.openForOthers("base", List.of(first.toString()))
                .status()
                .available());
        NativeLibrary user = NativeLibrary.open("user", List.of(second.toString()));
        assertTrue(user.status().available(), user.status().detail());
    }

    @Test
    void aPlainNameIsReportedWithThePathThatTheLinkerChose() {
        NativeLibrary library = NativeLibrary.open("libm", List.of("libm.so.6"));
        assertTrue(library.status().detail().startsWith("/"), library.status().detail());
        assertTrue(
                Files.exists(Path.of(library.status().detail())),
                library.status().detail());
    }

    @Test
    void aPlainNameThatTheLinkerDoesNotKnowSaysWhy() {
        NativeLibrary library = NativeLibrary.open("test", List.of("libno-such-thing.so.9"));
        assertEquals(
                List.of("libno-such-thing.so.9: cannot open shared object file: No such file or directory"),
                library.status().refusals());
        assertEquals(
                "test cannot be used: " + library.status().refusals().getFirst(),
                library.status().detail());
    }
}
