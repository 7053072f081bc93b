package dev.rheostat.cuda.jcuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class JCudaNativesTest {
    @Test
    void ofTheNestedTracesTheLinkersLineIsKept() {
        String message = """
                Error while loading native library "JCudaDriver-12.6.0-linux-x86_64"
                Operating system name: Linux
                ---(start of nested stack traces)---
                Stack trace from the attempt to load the library as a file:
                java.lang.UnsatisfiedLinkError: no JCudaDriver-12.6.0-linux-x86_64 in java.library.path: /usr/lib
                \tat java.base/java.lang.System.loadLibrary(System.java:2086)
                Stack trace from the attempt to load the library as a resource:
                java.lang.UnsatisfiedLinkError: /tmp/libJ.so: libcuda.so.1: cannot open shared object file: No such file
                \tat java.base/jdk.internal.loader.NativeLibraries.load(Native Method)
                """;
        assertEquals(
                "/tmp/libJ.so: libcuda.so.1: cannot open shared object file: No such file",
                JCudaNatives.reason(new UnsatisfiedLinkError(message)));
        assertEquals("first", JCudaNatives.reason(new LinkageError("first\nsecond")));
        assertTrue(JCudaNatives.reason(new NoClassDefFoundError()).contains("null"));
    }

    @Test
    void aClassThatIsNotThereIsAReasonAndStaysOne() {
        String tmpdir = System.getProperty("java.io.tmpdir");
        String reason =
                JCudaNatives.refusal("JNoSuchLibrary", "jcuda.NoSuchClass").orElseThrow();
        assertTrue(reason.startsWith("JCuda cannot be used: ") && reason.contains("libJNoSuchLibrary-12.6.0"), reason);
        assertEquals(
                reason,
                JCudaNatives.refusal("JNoSuchLibrary", "jcuda.NoSuchClass").orElseThrow());
        assertEquals(tmpdir, System.getProperty("java.io.tmpdir"));
    }
}
