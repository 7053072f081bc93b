package dev.rheostat.train;

import dev.rheostat.ado.DoremiPolicy;
import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import dev.rheostat.config.RunConfig;
import dev.rheostat.data.TokenDataset;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;

/** What a run of DoReMi's proxy was made for. */
public final class ProxyWeights {
    private ProxyWeights() {}

    /**
     * The mean of the weights that its policy has held, by domain; sums to 1.
     * @param note is told of newer checkpoints that are damaged
     * @throws RheostatException BAD_REQUEST if it is no such run or has no checkpoint; DAMAGED if that is not as it was written
     */
    public static double[] of(Path run, TokenDataset dataset, Consumer<String> note) {
        RunConfig config = SavedModel.config(run, Map.of());
        Checkpoints.Loaded checkpoint = new Checkpoints(
                        run.resolve("checkpoints"), config.checkpoint().keepNewest())
                .newestGood(note)
                .orElseThrow(() -> new RheostatException(Kind.BAD_REQUEST, run + " has no checkpoint yet"));
        if (!(RunMixture.create(config.mixture(), RunMixture.Run.of(config, dataset))
                        .policy()
                instanceof DoremiPolicy policy))
            throw new RheostatException(Kind.BAD_REQUEST, run + " is no run of policy doremi");
        try {
            return policy.average_K(policy.restore(inside(checkpoint.state(), "loop", "policy", "driver", "state")));
        } catch (IllegalArgumentException | ClassCastException e) {
            throw new RheostatException(
                    Kind.DAMAGED, "checkpoint " + checkpoint.path() + " holds no weights: " + e.getMessage(), e);
        }
    }

    @SuppressWarnings("unchecked") // JSON objects are maps by string
    private static Map<String, Object> inside(Map<String, Object> state, String... path) {
        Map<String, Object> map = state;
        for (String key : path) {
            if (map.get(key) == null) throw new IllegalArgumentException("no '" + key + "'");
            map = (Map<String, Object>) map.get(key);
        }
        return map;
    }
}
