package dev.rheostat.peers;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import ai.djl.training.GradientCollector;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import java.util.ArrayList;
import java.util.List;

/**
 * DJL's PyTorch engine, in NDArrays. What an operation makes belongs to the manager of its first operand, so the parameters are
 * lent to a manager of the step's own: else every temporary would live as long as they do, and steps slow down threefold.
 * It has no fused attention and no norm clip; leaving the clip out is to its advantage.
 */
final class DjlPeer implements PeerMain.Peer {
    private record Block(NDArray qkv, NDArray out, NDArray up, NDArray down, NDArray qGain, NDArray kGain) {}

    private final PeerMain.Shape shape;
    private final NDManager manager = NDManager.newBaseManager();
    private final List<NDArray> parameters = new ArrayList<>();
    private final List<Block> blocks = new ArrayList<>();
    private final NDArray table;
    private final NDArray ids, targets, cos, sin, mask;
    private final Loss loss = Loss.softmaxCrossEntropyLoss("loss", 1, -1, true, true);
    private final Optimizer optimizer = Optimizer.adamW()
            .optLearningRateTracker(Tracker.fixed(1e-3f))
            .optBeta1(0.9f)
            .optBeta2(0.95f)
            .optWeightDecays(0.1f)
            .build();

    DjlPeer(PeerMain.Shape shape) {
        this.shape = shape;
        int C = shape.width(), F = shape.mlpWidth(), D = shape.headWidth(), T = shape.tokens();
        table = parameter(shape.vocabulary(), C);
        for (int l = 0; l < shape.layers(); l++)
            blocks.add(new Block(
                    parameter(3 * C, C), parameter(C, C), parameter(2 * F, C), parameter(C, F), ones(D), ones(D)));
        ids = manager.randomInteger(0, shape.vocabulary(), new Shape(shape.batch(), T), DataType.INT64);
        targets = manager.randomInteger(0, shape.vocabulary(), new Shape((long) shape.batch() * T, 1), DataType.INT64);
        float[] c = new float[T * D], s = new float[T * D], m = new float[T * T];
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < D; i++) {
                c[t * D + i] = (float) Math.cos(shape.angle(t, i));
                s[t * D + i] = (float) Math.sin(shape.angle(t, i));
            }
            for (int u = t + 1; u < T; u++) m[t * T + u] = -1e9f;
        }
        cos = manager.create(c, new Shape(T, D));
        sin = manager.create(s, new Shape(T, D));
        mask = manager.create(m, new Shape(T, T));
    }

    private NDArray parameter(long rows, long columns) {
        return trained(manager.randomNormal(0, (float) (1 / Math.sqrt(columns)), new Shape(rows, columns), DataType.FLOAT32));
    }

    private NDArray ones(long n) {
        return trained(manager.ones(new Shape(n)));
    }

    private NDArray trained(NDArray array) {
        array.setRequiresGradient(true);
        parameters.add(array);
        return array;
    }

    @Override
    public double step() {
        double nats;
        try (NDManager step = manager.newSubManager()) {
            step.tempAttachAll(parameters.toArray(NDArray[]::new));
            step.tempAttachAll(ids, targets, cos, sin, mask);
            try (GradientCollector gradients = Engine.getInstance().newGradientCollector()) {
                NDArray mean = loss.evaluate(new NDList(targets), new NDList(logits()));
                gradients.backward(mean);
                nats = mean.getFloat();
            }
            for (int i = 0; i < parameters.size(); i++) {
                NDArray gradient = parameters.get(i).getGradient();
                optimizer.update(Integer.toString(i), parameters.get(i), gradient);
                gradient.muli(0);
            }
        }
        return nats;
    }

    private NDArray logits() {
        int C = shape.width();
        NDArray x = table.get(new NDIndex("{}", ids));
        for (Block block : blocks) {
            x = x.add(attention(block, rms(x)));
            NDArray both = Linear.linear(rms(x), block.up()).singletonOrThrow();
            NDList halves = both.split(2, 2);
            x = x.add(Linear.linear(Activation.swish(halves.get(0), 1).mul(halves.get(1)), block.down())
                    .singletonOrThrow());
        }
        return Linear.linear(rms(x).reshape(-1, C), table).singletonOrThrow();
    }

    private static NDArray rms(NDArray x) {
        return x.mul(x.square().mean(new int[] {-1}, true).add(1e-6f).sqrt().pow(-1));
    }

    private NDArray attention(Block block, NDArray x) {
        int B = shape.batch(), T = shape.tokens(), H = shape.heads(), D = shape.headWidth();
        NDList qkv = Linear.linear(x, block.qkv()).singletonOrThrow().split(3, 2);
        NDArray q = rotated(norm(heads(qkv.get(0)), block.qGain())), k = rotated(norm(heads(qkv.get(1)), block.kGain()));
        NDArray scores = q.matMul(k.transpose(0, 1, 3, 2)).mul((float) (1 / Math.sqrt(D))).add(mask);
        NDArray mixed = scores.softmax(-1).matMul(heads(qkv.get(2)));
        return Linear.linear(mixed.transpose(0, 2, 1, 3).reshape(B, T, (long) H * D), block.out())
                .singletonOrThrow();
    }

    private NDArray heads(NDArray x) {
        return x.reshape(shape.batch(), shape.tokens(), shape.heads(), shape.headWidth()).transpose(0, 2, 1, 3);
    }

    private NDArray norm(NDArray x, NDArray gain) {
        NDArray none = x.getManager().zeros(gain.getShape());
        return LayerNorm.layerNorm(x, gain.getShape(), gain, none, 1e-6f).singletonOrThrow();
    }

    private NDArray rotated(NDArray x) {
        NDList halves = x.split(2, 3);
        NDArray turned = NDArrays.concat(new NDList(halves.get(1).neg(), halves.get(0)), -1);
        return x.mul(cos).add(turned.mul(sin));
    }

    @Override
    public void close() {
        manager.close();
    }
}
