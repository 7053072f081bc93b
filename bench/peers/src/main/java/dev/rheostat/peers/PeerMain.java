package dev.rheostat.peers;

import java.util.Arrays;
import java.util.Locale;

/**
 * Trains one model of Rheostat's shape in PyTorch and prints one JSON line. Arguments: djl or bytedeco, then layers, heads,
 * width, vocabulary, batch, tokens a sequence, threads, timed steps.
 */
public final class PeerMain {
    private static final int WARM_UP_STEPS = 5;

    /** Of the model and its one random batch. F is the MLP's width, D a head's. */
    record Shape(int layers, int heads, int width, int vocabulary, int batch, int tokens, int threads) {
        int headWidth() {
            return width / heads;
        }

        int mlpWidth() {
            return ((8 * width + 2) / 3 + 7) / 8 * 8;
        }

        /** Of the rotary positions, half-split; interleaved pairs cost the same. */
        float angle(int t, int i) {
            int half = headWidth() / 2;
            return (float) (t * Math.pow(1e4, -(double) (i % half) / half));
        }
    }

    /** One step: forward, backward, AdamW. */
    interface Peer extends AutoCloseable {
        /** @return mean nats a token before the update */
        double step();

        @Override
        void close();
    }

    private PeerMain() {}

    public static void main(String[] arguments) {
        int[] n = Arrays.stream(arguments).skip(1).mapToInt(Integer::parseInt).toArray();
        Shape shape = new Shape(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
        double[] seconds = new double[n[7]];
        double first = 0, last = 0;
        try (Peer peer = arguments[0].equals("djl") ? new DjlPeer(shape) : new BytedecoPeer(shape)) {
            for (int i = 0; i < WARM_UP_STEPS + seconds.length; i++) {
                long startNanos = System.nanoTime();
                last = peer.step();
                if (i == 0) first = last;
                if (i >= WARM_UP_STEPS) seconds[i - WARM_UP_STEPS] = (System.nanoTime() - startNanos) * 1e-9;
            }
        }
        if (!(last < first)) throw new IllegalStateException("the loss went from " + first + " to " + last);
        Arrays.sort(seconds);
        double median = seconds[seconds.length / 2];
        System.out.printf(
                Locale.ROOT,
                "{\"peer\":\"%s\",\"tokens_per_second\":%.1f,\"seconds_per_step\":%.4f,\"loss_first\":%.4f,\"loss_last\":%.4f}%n",
                arguments[0],
                shape.batch() * shape.tokens() / median,
                median,
                first,
                last);
        System.exit(0); // the libraries' threads would keep the JVM
    }
}
