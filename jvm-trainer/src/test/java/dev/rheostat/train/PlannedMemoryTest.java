package dev.rheostat.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.rheostat.config.ModelConfig;
import dev.rheostat.model.Toy;
import dev.rheostat.op.AdamW;
import dev.rheostat.op.Backend;
import dev.rheostat.op.HostTensor;
import dev.rheostat.op.RecordLayout;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.StepIo;
import dev.rheostat.op.cpu.CpuBackend;
import dev.rheostat.op.cpu.CpuGemms;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What a plan says is taken is what a backend takes, byte for byte. */
class PlannedMemoryTest {
    private static final int DOMAINS = 3;

    @Test
    void thePlanIsWhatIsAllocated() {
        CpuBackend.Settings settings = new CpuBackend.Settings(2, false, CpuGemms.Choice.VECTOR);
        for (ModelConfig config : new ModelConfig[] {Toy.paper(true), Toy.everyOption(false), Toy.llama()})
            for (SlotLayout slot : new SlotLayout[] {new SlotLayout(1, 1, 12), new SlotLayout(6, 2, 7)})
                try (Backend<HostTensor> backend = CpuBackend.open(settings)) {
                    StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", slot, new RecordLayout(DOMAINS), 4);
                    EvalStep.beside(new TrainStep<>(
                            backend, config, rings, new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1), true));
                    ModelPlan plan = ModelPlan.of(() -> CpuBackend.plan(settings), config, slot, DOMAINS, 4);
                    assertEquals(backend.allocatedBytes(), plan.bytes());
                }
    }

    /** A reference model of another shape is in the plan, and so are the fields of slots and records that it needs. */
    @Test
    void aReferenceModelIsPlannedWithTheRest() {
        CpuBackend.Settings settings = new CpuBackend.Settings(2, false, CpuGemms.Choice.VECTOR);
        SlotLayout slot = new SlotLayout(6, 2, 7, true);
        try (Backend<HostTensor> backend = CpuBackend.open(settings)) {
            RecordLayout record = new RecordLayout(DOMAINS, true);
            StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", slot, record, 4);
            EvalStep.beside(new TrainStep<>(
                    backend, Toy.paper(true), rings, new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1), true));
            ReferenceModel.plan(backend, Toy.llama(), slot, DOMAINS);
            ModelPlan plan = ModelPlan.of(
                    () -> CpuBackend.plan(settings), Toy.paper(true), Optional.of(Toy.llama()), slot, DOMAINS, 4);
            assertEquals(backend.allocatedBytes(), plan.bytes());
        }
    }

    /** A model of 39 GB is planned in a JVM that has less; running it is refused before anything is read or written. */
    @Test
    void aPlanTakesNoMemory() {
        CpuBackend.Settings settings = new CpuBackend.Settings(2, false, CpuGemms.Choice.VECTOR);
        ModelConfig config = ModelConfig.preset("ado-1.3b").resolve(50_257);
        SlotLayout slot = new SlotLayout(4, 1, 1024);
        ModelPlan plan = ModelPlan.of(() -> CpuBackend.plan(settings), config, slot, DOMAINS, 4);
        assertTrue(plan.totalBytes() > 30L << 30, () -> plan.bytes().toString());
        try (Backend<HostTensor> backend = CpuBackend.plan(settings)) {
            StepIo.Rings rings = StepIo.Rings.allocate(backend, "rings", slot, new RecordLayout(DOMAINS), 4);
            TrainStep<HostTensor> step =
                    new TrainStep<>(backend, config, rings, new AdamW.Settings(0.9f, 0.95f, 1e-8f, 0.1f, 1), true);
            assertThrows(
                    IllegalStateException.class,
                    () -> backend.zero(step.parameters().flat_N()));
        }
    }
}
