package dev.rheostat.bench;

import dev.rheostat.ado.fit.FitPoints;
import dev.rheostat.ado.fit.LogBins;
import dev.rheostat.ado.fit.PowerLaw;
import dev.rheostat.ado.fit.ReferenceFit;
import dev.rheostat.ado.fit.RobustFit;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** One refit of 22 domains after 6,000 noisy steps, on one core; and the published fit of one domain, on all cores, beside it. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
public class FitBenchmark {
    static final int DOMAINS = 22, STEPS = 6_000, REFERENCE_POINTS = 600, BATCH = 256;
    private static final double NOISE = 0.02;
    private static final RobustFit.Settings SETTINGS = new RobustFit.Settings(0.98, 2, 0.4, 0.35, 1);

    private LogBins bins;
    private FitPoints[] unbinned;
    private double[] n;
    private double[] lossNats;

    @Setup
    public void losses() {
        Random random = new Random(1);
        bins = LogBins.empty(DOMAINS, 0.03);
        double[][] losses = new double[DOMAINS][STEPS];
        double[] lnN = new double[STEPS], weight = new double[STEPS];
        n = new double[REFERENCE_POINTS];
        lossNats = new double[REFERENCE_POINTS];
        for (int t = 0; t < STEPS; t++) {
            long total = (long) BATCH * (t + 1);
            long[] sequences_K = new long[DOMAINS];
            double[] loss_K = new double[DOMAINS];
            for (int k = 0; k < DOMAINS; k++) {
                PowerLaw law = new PowerLaw(1.7 + 0.05 * k, 4 + k, 0.2 + 0.01 * k);
                sequences_K[k] = 1 + k;
                loss_K[k] = losses[k][t] = law.at(total) * Math.exp(NOISE * random.nextGaussian());
            }
            lnN[t] = Math.log(total);
            weight[t] = 1;
            bins = bins.add(total, sequences_K, loss_K);
            if (t % 10 == 0) {
                n[t / 10] = total;
                lossNats[t / 10] = loss_K[0];
            }
        }
        unbinned = new FitPoints[DOMAINS];
        for (int k = 0; k < DOMAINS; k++) unbinned[k] = new FitPoints(lnN, losses[k], weight);
    }

    /** What a run does: the bins are kept as the steps come in. */
    @Benchmark
    @Warmup(iterations = 3, time = 2)
    @Measurement(iterations = 5, time = 2)
    public double allDomainsFromTheirBins() {
        double sum = 0;
        for (int k = 0; k < DOMAINS; k++)
            sum += RobustFit.fit(bins.points(k), SETTINGS).potential();
        return sum;
    }

    /** The same fit of all 6,000 points of each domain, without bins. */
    @Benchmark
    @Warmup(iterations = 3, time = 2)
    @Measurement(iterations = 5, time = 2)
    public double allDomainsFromEveryStep() {
        double sum = 0;
        for (int k = 0; k < DOMAINS; k++)
            sum += RobustFit.fit(unbinned[k], SETTINGS).potential();
        return sum;
    }

    /** 512 starts of L-BFGS, one domain, every tenth step. */
    @Benchmark
    @BenchmarkMode(Mode.SingleShotTime)
    @Warmup(iterations = 1)
    @Measurement(iterations = 3)
    public double oneDomainByTheReferenceFit() {
        return ReferenceFit.fit(n, lossNats).objective();
    }
}
