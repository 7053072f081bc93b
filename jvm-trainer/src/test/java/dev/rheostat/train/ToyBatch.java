package dev.rheostat.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.rheostat.op.SlotLayout;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/** A step's data as plain arrays, and as a slot. */
final class ToyBatch {
    final SlotLayout layout;
    final int[][] tokens_BT1;
    final int[][] docStart_BT;
    final int[] domain_B;
    final float[] weight_B;
    final float[][] refLoss_BT;

    /**
     * Random tokens, domains 0 to K-1, weights 0.5 to 1.5, a document border at one position in three; reference losses near
     * those of chance.
     */
    ToyBatch(SlotLayout layout, int vocabulary, int domains, long seed) {
        this.layout = layout;
        int B = layout.sequences(), T = layout.tokens();
        tokens_BT1 = new int[B][T + 1];
        docStart_BT = new int[B][T];
        domain_B = new int[B];
        weight_B = new float[B];
        refLoss_BT = new float[B][T];
        Random random = new Random(seed);
        for (int b = 0; b < B; b++) {
            domain_B[b] = random.nextInt(domains);
            weight_B[b] = 0.5f + random.nextFloat();
            for (int t = 0; t <= T; t++) tokens_BT1[b][t] = random.nextInt(vocabulary);
            for (int t = 1; t < T; t++) docStart_BT[b][t] = random.nextInt(3) == 0 ? t : docStart_BT[b][t - 1];
        }
        for (float[] refLoss_T : refLoss_BT)
            for (int t = 0; t < T; t++) refLoss_T[t] = (float) Math.log(vocabulary) + random.nextFloat() - 0.5f;
    }

    /** Takes over the data of another batch of the same layout. */
    void become(ToyBatch other) {
        for (int b = 0; b < layout.sequences(); b++) {
            tokens_BT1[b] = other.tokens_BT1[b].clone();
            docStart_BT[b] = other.docStart_BT[b].clone();
            domain_B[b] = other.domain_B[b];
            weight_B[b] = other.weight_B[b];
            refLoss_BT[b] = other.refLoss_BT[b].clone();
        }
    }

    void write(MemorySegment slot, long step, double learningRate) {
        int B = layout.sequences(), T = layout.tokens();
        slot.set(JAVA_LONG, SlotLayout.STEP_OFFSET, step);
        slot.set(JAVA_FLOAT, SlotLayout.LEARNING_RATE_OFFSET, (float) learningRate);
        for (int b = 0; b < B; b++) {
            MemorySegment.copy(tokens_BT1[b], 0, slot, JAVA_INT, SlotLayout.TOKENS_OFFSET + 4L * b * (T + 1), T + 1);
            MemorySegment.copy(docStart_BT[b], 0, slot, JAVA_INT, layout.docStartOffset() + 4L * b * T, T);
            if (layout.referenceLosses())
                MemorySegment.copy(refLoss_BT[b], 0, slot, JAVA_FLOAT, layout.refLossOffset() + 4L * b * T, T);
        }
        MemorySegment.copy(domain_B, 0, slot, JAVA_INT, layout.domainOffset(), B);
        MemorySegment.copy(weight_B, 0, slot, JAVA_FLOAT, layout.weightOffset(), B);
    }
}
