package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.rheostat.config.RunConfig;
import dev.rheostat.cuda.Stubs;
import dev.rheostat.cuda.sim.CudaSimulator;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.cuda.CudaBackend.Binding;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a profiler is shown of a run: the steps that it is to capture, and in eager mode the ranges around each kernel. */
@Timeout(300)
class CudaProfileTest {
    /** A tool that writes each range, those within it further to the right. */
    private static final String TOOL = """
            #include <cstdio>
            #include <cstring>
            static int depth = 0;
            struct Attributes { char before[40]; const char* message; };
            extern "C" void* nvtxDomainCreateA(const char*) { return (void*)1; }
            extern "C" void* nvtxDomainRegisterStringA(void*, const char* text) { return strdup(text); }
            extern "C" int nvtxDomainRangePushEx(void*, const Attributes* a) {
                std::printf("%*s%s\\n", 2 * depth, "", a->message); std::fflush(stdout); return depth++;
            }
            extern "C" int nvtxDomainRangePop(void*) { return --depth; }
            """;

    @TempDir
    private Path folder;

    @Test
    void stepsToCaptureAreCapturedAndNoOthers() {
        CudaUnderTest.newSimulator();
        CudaSimulator.startLog();
        try (var backend = CudaUnderTest.open();
                RunFolder run = RunFolder.create(folder.resolve("run"), "test: true\n")) {
            RunConfig config = CudaRuns.config(folder, Map.of("schedule.steps", "12"));
            new Trainer<>(config, CudaRuns.DATASET, backend, run, new TrainListener() {})
                    .capturing(CaptureRange.parse("5:8"))
                    .run();
        }
        CudaSimulator.stopLog();
        List<String> launches = CudaSimulator.log().stream()
                .filter(call -> call.contains("cuGraphLaunch"))
                .toList();
        String step =
                launches.stream()
                        .collect(Collectors.groupingBy(Function.identity(), Collectors.counting()))
                        .entrySet()
                        .stream()
                        .max(Map.Entry.comparingByValue())
                        .orElseThrow()
                        .getKey();
        assertEquals(12, Collections.frequency(launches, step));
        String seen = CudaSimulator.log().stream()
                .map(call -> call.equals(step)
                        ? "step "
                        : call.contains("cuProfilerStart") ? "start " : call.contains("cuProfilerStop") ? "stop " : "")
                .collect(Collectors.joining());
        assertEquals("step ".repeat(5) + "start " + "step ".repeat(3) + "stop " + "step ".repeat(4), seen);
    }

    /** One eager step of two layers, in a process that finds the tool. */
    static final class EagerStep {
        public static void main(String[] arguments) {
            CudaUnderTest.newDevice();
            try (var run = new StepRun<>(
                    CudaUnderTest.open(Binding.FFM, false),
                    StepRun.paper(16),
                    StepRun.counting(new SlotLayout(2, 1, 16), 1),
                    StepRun.SETTINGS)) {
                System.out.println("begin");
                run.step(0, 1e-3);
                System.out.println("end");
            }
        }
    }

    @Test
    void inEagerModeEachKernelLiesInTheRangesOfItsLayerPhaseAndStep() throws Exception {
        CudaUnderTest.newSimulator();
        Path tool = Stubs.library(folder.resolve("libnvtx3interop.so.1"), TOOL).getParent();
        String libraries = tool + ":" + System.getenv("RHEOSTAT_CUDA_LIBRARIES");
        String output = Stubs.run(EagerStep.class, Map.of("RHEOSTAT_CUDA_LIBRARIES", libraries));
        String layerForward = """
                    layer %d
                      norm_forward
                      product
                      qk_rotary_forward
                      attention_hopper_forward_64
                      product
                      norm_forward
                      product
                      activation_swiglu_forward
                      product
                """, layerBackward = """
                    layer %d
                      product
                      product
                      activation_swiglu_backward
                      product
                      product
                      norm_backward
                      product
                      product
                      attention_hopper_backward_queries_64
                      attention_hopper_backward_keys_64
                      qk_rotary_backward
                      elements_add_rows
                      elements_add_rows
                      product
                      product
                      norm_backward
                """;
        String expected = """
                training step
                  step_begin
                  step_load
                  forward
                    embedding_forward
                """ + layerForward.formatted(0) + layerForward.formatted(1) + """
                    norm_forward
                  loss head
                    product
                    loss_head_backward
                    product
                    product
                  backward
                    norm_backward
                """ + layerBackward.formatted(1)
                + layerBackward.formatted(0) + """
                    embedding_count
                    embedding_scatter
                    embedding_sum
                    embedding_join
                  optimizer
                    adamw_squares
                    adamw_decide
                    adamw_update
                  step_publish
                """;
        assertEquals(expected, output.substring(output.indexOf("begin\n") + 6, output.indexOf("end\n")));
    }
}
