package dev.rheostat.testbed;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.rheostat.config.RunConfig;
import dev.rheostat.data.SlotFiller;
import dev.rheostat.data.TokenDataset;
import dev.rheostat.data.ValidationWindows;
import dev.rheostat.op.Backend;
import dev.rheostat.op.SlotLayout;
import dev.rheostat.op.Tensor;
import dev.rheostat.train.EvalStep;
import dev.rheostat.train.SavedModel;
import java.lang.foreign.MemorySegment;

/** A saved model's mean loss of values, by domain, over windows that neither training nor a policy's validation has seen. */
final class HeldOut {
    private final BedShape shape;
    private final TokenDataset dataset;
    private final int from, to;

    /**
     * @param from first window of each domain's validation split; those before it are the policies'
     * @param to the window after the last
     */
    HeldOut(BedShape shape, TokenDataset dataset, int from, int to) {
        this.shape = shape;
        this.dataset = dataset;
        this.from = from;
        this.to = to;
    }

    /** L_k, nats a value. */
    <X extends Tensor> double[] lossNats_K(SavedModel model, Backend<X> backend) {
        RunConfig config = model.config();
        SlotLayout layout =
                new SlotLayout(config.batch().sequences(), 1, config.model().context());
        EvalStep<X> step = EvalStep.alone(
                backend,
                config.model(),
                model.parameters(backend),
                layout,
                dataset.domains().size(),
                config.data().documentMask());
        SlotFiller filler = new SlotFiller(dataset, layout, config.data().documentMask());
        ValidationWindows windows = new ValidationWindows(dataset, layout.tokens(), to);
        double[] lossNats_K = new double[dataset.domains().size()];
        for (int k = 0; k < lossNats_K.length; k++) {
            for (int first = from; first < to; first += layout.sequences()) {
                int filled = Math.min(layout.sequences(), to - first);
                for (int b = 0; b < filled; b++)
                    filler.writeSequence(step.slot(), b, k, windows.source(k), windows.firstToken(first + b));
                step.run();
                lossNats_K[k] += valueNats(step.tokenLosses(), filled);
            }
            lossNats_K[k] /= (double) (to - from) * shape.pairs();
        }
        return lossNats_K;
    }

    /** Sum over the values of the first windows: the loss at t is that of token t + 1, and a pair's value is its last token. */
    private double valueNats(MemorySegment loss_BT, int windows) {
        double nats = 0;
        for (int b = 0; b < windows; b++)
            for (int pair = 1; pair <= shape.pairs(); pair++)
                nats += loss_BT.getAtIndex(JAVA_FLOAT, (long) b * shape.tokens() + pair * shape.width() - 2);
        return nats;
    }
}
