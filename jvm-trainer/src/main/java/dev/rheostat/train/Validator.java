package dev.rheostat.train;

import dev.rheostat.data.SlotFiller;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.data.ValidationWindows;
import dev.rheostat.op.Tensor;
import java.util.Arrays;

/** Runs an {@link EvalStep} over the validation windows of every domain; windows of several domains share a pass. */
public final class Validator<X extends Tensor> {
    private final EvalStep<X> evalStep;
    private final ValidationWindows windows;
    private final SlotFiller filler;
    private final int K;
    private final long[] bytes_K;
    private final double[] share_K;

    /** @param windowsPerDomain at most */
    public Validator(EvalStep<X> evalStep, TokenDataset dataset, int windowsPerDomain, boolean documentMask) {
        this.evalStep = evalStep;
        windows = new ValidationWindows(dataset, evalStep.slotLayout().tokens(), windowsPerDomain);
        filler = new SlotFiller(dataset, evalStep.slotLayout(), documentMask);
        K = dataset.domains().size();
        bytes_K = new long[K];
        share_K = dataset.shares();
        for (int k = 0; k < K; k++) bytes_K[k] = windows.bytes(k);
    }

    /** @param step steps done so far */
    public Validation run(long step) {
        EvalStep.Totals totals = new EvalStep.Totals(K);
        int B = evalStep.slotLayout().sequences(), b = 0;
        for (int k = 0; k < K; k++)
            for (int w = 0; w < windows.windows(k); w++) {
                filler.writeSequence(evalStep.slot(), b++, k, windows.source(k), windows.firstToken(w));
                if (b == B) {
                    evalStep.run(b, totals);
                    b = 0;
                }
            }
        if (b > 0) evalStep.run(b, totals);
        double[] lossNats_K = new double[K];
        Arrays.setAll(lossNats_K, totals::meanNats);
        return new Validation(step, lossNats_K, totals.tokens_K().clone(), bytes_K.clone(), share_K.clone());
    }
}
