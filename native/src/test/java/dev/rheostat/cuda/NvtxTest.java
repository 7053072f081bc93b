package dev.rheostat.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NvtxTest {
    /** What a tool sees: each call, in order, with the fields of nvtxEventAttributes_t by nvToolsExt.h. */
    private static final String RECORDER = """
            #include <cstdint>
            #include <cstdio>
            #include <cstring>
            struct Attributes {
                uint16_t version, size; uint32_t category; int32_t color_type; uint32_t color;
                int32_t payload_type, reserved; uint64_t payload; int32_t message_type; const char* message;
            };
            static int depth = 0;
            extern "C" void* nvtxDomainCreateA(const char* name) {
                std::printf("domain %s\\n", name); std::fflush(stdout); return (void*)7;
            }
            extern "C" const char* nvtxDomainRegisterStringA(void* domain, const char* text) {
                std::printf("register %s\\n", text); std::fflush(stdout); return strdup(text);
            }
            extern "C" int nvtxDomainRangePushEx(void* domain, const Attributes* a) {
                std::printf("push %ld %u %u %d %d %s\\n", (long)domain, a->version, a->size, a->payload_type, a->message_type, a->message);
                std::fflush(stdout); return depth++;
            }
            extern "C" int nvtxDomainRangePop(void* domain) { std::puts("pop"); std::fflush(stdout); return --depth; }
            """;

    @TempDir
    private Path folder;

    static final class Ranges {
        public static void main(String[] arguments) {
            for (int step = 0; step < 2; step++) {
                Nvtx.push("step");
                Nvtx.push("forward");
                Nvtx.pop();
                Nvtx.pop();
            }
        }
    }

    @Test
    void rangesReachTheToolAndANameIsRegisteredOnce() throws Exception {
        Stubs.library(folder.resolve("libnvtx3interop.so.1"), RECORDER);
        assertEquals("""
                domain rheostat
                register step
                push 7 3 48 0 3 step
                register forward
                push 7 3 48 0 3 forward
                pop
                pop
                push 7 3 48 0 3 step
                push 7 3 48 0 3 forward
                pop
                pop
                """, Stubs.run(Ranges.class, Map.of("RHEOSTAT_CUDA_LIBRARIES", folder.toString())));
    }

    @Test
    void withoutAToolOrWithoutTheLibraryARangeDoesNothing() {
        Nvtx.push("nobody listens");
        Nvtx.pop();
    }
}
