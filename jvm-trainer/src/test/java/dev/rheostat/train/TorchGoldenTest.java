package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.rheostat.model.NamedTensor;
import dev.rheostat.model.Toy;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.LossHead;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.cpu.PlainBackend;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * The model and the step against PyTorch's autograd and AdamW, as bench/peers/golden_gpt.py has written them down: two micro-batches, a
 * clip that cuts, decay, three steps. The model there is the one of the peer that is measured on GPUs.
 */
class TorchGoldenTest {
    private static final int VOCABULARY = 11, TOKENS_STREAM = 100, FIRST_MEASURE = 101, SECOND_MEASURE = 102;

    /** Scale, betas, decay and angles are f32 on one side or on both: some units of 2^-24 of a sum's largest terms. */
    private static final double TOLERANCE = 2e-6;

    private static final SlotLayout LAYOUT = new SlotLayout(4, 2, 12);

    /** As in golden_gpt.py. */
    private static long drawn(int stream, long i) {
        return (i * 2654435761L + stream * 2246822519L & 0xffffffffL) >>> 12;
    }

    private static double centred(int stream, long i) {
        return drawn(stream, i) * 0x1p-20 - 0.5;
    }

    private static void fill(TrainStep<HostTensor> step, Arena arena) {
        List<NamedTensor<HostTensor>> sorted = step.parameters().named("").stream()
                .sorted((a, b) -> a.name().compareTo(b.name()))
                .toList();
        for (int stream = 0; stream < sorted.size(); stream++) {
            String name = sorted.get(stream).name();
            HostTensor tensor = sorted.get(stream).tensor();
            long used = step.parameters().layout().entries().get(name).parameters();
            MemorySegment values = arena.allocate(JAVA_FLOAT, tensor.size());
            for (long i = 0; i < used; i++) {
                double value = centred(stream, i);
                values.setAtIndex(JAVA_FLOAT, i, (float) (name.endsWith("gain") ? 1 + value / 2 : value));
            }
            step.backend().upload(tensor, values);
        }
    }

    /** Norm and products with the two vectors. */
    private static double[] measures(HostTensor x) {
        double squares = 0, first = 0, second = 0;
        for (long i = 0; i < x.size(); i++) {
            double value = x.getDouble(i);
            squares += value * value;
            first += value * centred(FIRST_MEASURE, i);
            second += value * centred(SECOND_MEASURE, i);
        }
        return new double[] {Math.sqrt(squares), first, second};
    }

    private static void check(JsonNode golden, List<NamedTensor<HostTensor>> ours) {
        assertEquals(golden.size(), ours.size());
        for (NamedTensor<HostTensor> named : ours) {
            double[] found = measures(named.tensor());
            JsonNode wanted = golden.get(named.name());
            double scale = wanted.get(0).asDouble();
            for (int i = 0; i < found.length; i++)
                assertEquals(
                        wanted.get(i).asDouble(), found[i], TOLERANCE * scale, named.name() + Arrays.toString(found));
        }
    }

    @Test
    void threeStepsArePyTorchs() throws IOException {
        JsonNode golden = new ObjectMapper().readTree(getClass().getResourceAsStream("torch-golden.json"));
        try (Backend<HostTensor> backend = PlainBackend.openInDoubles();
                Arena arena = Arena.ofConfined()) {
            StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", LAYOUT, new RecordLayout(1), 1);
            TrainStep<HostTensor> step = new TrainStep<>(
                    backend, Toy.paper(true), rings, new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.125f, 0.25f), false);
            fill(step, arena);
            ToyBatch batch = new ToyBatch(LAYOUT, VOCABULARY, 1, 1);
            int place = 0;
            for (int[] tokens : batch.tokens_BT1)
                for (int t = 0; t < tokens.length; t++) tokens[t] = (int) (drawn(TOKENS_STREAM, place++) % VOCABULARY);
            Arrays.fill(batch.weight_B, 1);
            for (int number = 0; number < golden.get("losses").size(); number++) {
                batch.write(rings.slot(0), number, 0x1p-7);
                step.run();
                double nats = rings.record(0).get(JAVA_LONG, RecordLayout.LOSS_SUM_OFFSET) / LossHead.FIXED_POINT;
                assertEquals(golden.get("losses").get(number).asDouble(), nats / LAYOUT.tokensPerStep(), TOLERANCE);
                if (number == 0)
                    check(golden.get("gradients"), step.gradients().parameters().named(""));
            }
            check(golden.get("weights"), step.parameters().named(""));
        }
    }
}
