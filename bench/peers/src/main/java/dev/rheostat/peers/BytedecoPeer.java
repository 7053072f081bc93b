package dev.rheostat.peers;

import static org.bytedeco.pytorch.global.torch.cat;
import static org.bytedeco.pytorch.global.torch.chunk;
import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;
import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;
import static org.bytedeco.pytorch.global.torch.embedding;
import static org.bytedeco.pytorch.global.torch.layer_norm;
import static org.bytedeco.pytorch.global.torch.linear;
import static org.bytedeco.pytorch.global.torch.manual_seed;
import static org.bytedeco.pytorch.global.torch.ones;
import static org.bytedeco.pytorch.global.torch.randint;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.rms_norm;
import static org.bytedeco.pytorch.global.torch.scaled_dot_product_attention;
import static org.bytedeco.pytorch.global.torch.set_num_threads;
import static org.bytedeco.pytorch.global.torch.silu;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** libtorch through bytedeco's binding, with its fused norms, attention and AdamW. Start it with OMP_WAIT_POLICY=PASSIVE. */
final class BytedecoPeer implements PeerMain.Peer {
    private record Block(Tensor qkv, Tensor out, Tensor up, Tensor down, Tensor qGain, Tensor kGain) {}

    private final PeerMain.Shape shape;
    private final TensorVector parameters = new TensorVector();
    private final List<Block> blocks = new ArrayList<>();
    private final Tensor table, ids, targets, cos, sin;
    private final AdamW optimizer;

    BytedecoPeer(PeerMain.Shape shape) {
        this.shape = shape;
        set_num_threads(shape.threads());
        manual_seed(1);
        int C = shape.width(), F = shape.mlpWidth(), D = shape.headWidth(), T = shape.tokens();
        table = parameter(shape.vocabulary(), C);
        for (int l = 0; l < shape.layers(); l++)
            blocks.add(new Block(
                    parameter(3 * C, C),
                    parameter(C, C),
                    parameter(2 * F, C),
                    parameter(C, F),
                    trained(ones(D)),
                    trained(ones(D))));
        TensorOptions whole = new TensorOptions().dtype(new ScalarTypeOptional(ScalarType.Long));
        ids = randint(shape.vocabulary(), new long[] {shape.batch(), T}, whole);
        targets = randint(shape.vocabulary(), new long[] {(long) shape.batch() * T}, whole);
        float[] c = new float[T * D], s = new float[T * D];
        for (int t = 0; t < T; t++)
            for (int i = 0; i < D; i++) {
                c[t * D + i] = (float) Math.cos(shape.angle(t, i));
                s[t * D + i] = (float) Math.sin(shape.angle(t, i));
            }
        cos = table(c, T, D);
        sin = table(s, T, D);
        AdamWOptions options = new AdamWOptions(1e-3);
        options.betas().put(0, 0.9).put(1, 0.95);
        options.weight_decay().put(0.1);
        optimizer = new AdamW(parameters, options);
    }

    private static Tensor table(float[] values, int T, int D) {
        Tensor tensor = ones(T, D);
        new FloatPointer(tensor.data_ptr_float()).put(values);
        return tensor;
    }

    private Tensor parameter(long rows, long columns) {
        return trained(randn(rows, columns).mul(new Scalar(1 / Math.sqrt(columns))));
    }

    private Tensor trained(Tensor tensor) {
        tensor.set_requires_grad(true);
        parameters.push_back(tensor);
        return tensor;
    }

    @Override
    @SuppressWarnings("try") // the scope frees what the step made; nobody calls it
    public double step() {
        try (PointerScope scope = new PointerScope()) {
            optimizer.zero_grad();
            Tensor loss = cross_entropy_loss(logits(), targets);
            loss.backward();
            clip_grad_norm_(parameters, 1.0);
            optimizer.step();
            return loss.item_float();
        }
    }

    private Tensor logits() {
        int C = shape.width();
        Tensor x = embedding(table, ids);
        for (Block block : blocks) {
            x = x.add(attention(block, rms_norm(x, C)));
            TensorVector halves = chunk(linear(rms_norm(x, C), block.up()), 2, -1);
            x = x.add(linear(silu(halves.get(0)).mul(halves.get(1)), block.down()));
        }
        return linear(rms_norm(x, C).reshape(-1, C), table);
    }

    private Tensor attention(Block block, Tensor x) {
        int B = shape.batch(), T = shape.tokens();
        TensorVector qkv = chunk(linear(x, block.qkv()), 3, -1);
        Tensor q = rotated(norm(heads(qkv.get(0)), block.qGain())),
                k = rotated(norm(heads(qkv.get(1)), block.kGain()));
        Tensor mixed = scaled_dot_product_attention(
                q, k, heads(qkv.get(2)), new TensorOptional(), 0, true, new DoubleOptional(), false);
        return linear(mixed.transpose(1, 2).reshape(B, T, shape.width()), block.out());
    }

    private Tensor heads(Tensor x) {
        return x.reshape(shape.batch(), shape.tokens(), shape.heads(), shape.headWidth())
                .transpose(1, 2);
    }

    private Tensor norm(Tensor x, Tensor gain) {
        return layer_norm(
                x, new long[] {shape.headWidth()}, new TensorOptional(gain), new TensorOptional(), 1e-6, false);
    }

    private Tensor rotated(Tensor x) {
        TensorVector halves = chunk(x, 2, -1);
        return x.mul(cos).add(cat(new TensorVector(halves.get(1).neg(), halves.get(0)), -1).mul(sin));
    }

    @Override
    public void close() {
        optimizer.close();
    }
}
