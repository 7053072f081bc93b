package dev.rheostat.report;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RunConfig;
import dev.rheostat.config.RunFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/** What happened to a run's mixture besides its policy: bounds that were reached, and changes that an operator made. */
final class Events {
    private record Event(long step, String sentence) {}

    private Events() {}

    /** One sentence an event, in the order of their steps. */
    static List<String> of(RunHistory run) {
        List<Event> events = new ArrayList<>();
        for (RunHistory.Change change : run.changes())
            events.add(new Event(
                    change.step(), "Before step " + change.step() + " " + change.by() + " set " + change.set() + "."));
        try {
            RunConfig config = RunFile.parse("run.yaml", run.config(), Path.of(""), Map.of())
                    .config();
            for (int k = 0; k < run.domains().size(); k++) bounds(run, config.mixture(), k, events);
        } catch (RheostatException unknownVersion) {
            // a run.yaml that is not of this version tells nothing of bounds
        }
        events.sort(Comparator.comparingLong(Event::step));
        return events.stream().map(Event::sentence).toList();
    }

    private static void bounds(RunHistory run, RunConfig.Mixture mixture, int k, List<Event> events) {
        String domain = run.domains().get(k);
        double epochs = RunConfig.Mixture.of(mixture.maxEpochs(), domain, Double.POSITIVE_INFINITY),
                cap = RunConfig.Mixture.of(mixture.maxShare(), domain, 1);
        boolean drawn = false, capped = false;
        for (RunHistory.Step step : run.steps()) {
            double share = step.mixture_K()[k];
            if (cap < 1 && !capped && share >= cap) {
                capped = true;
                events.add(new Event(
                        step.step(),
                        domain + " reached its cap of " + Figures.percent(cap) + " at step " + step.step()
                                + "; what it would have had beyond goes to the others."));
            }
            if (epochs < Double.POSITIVE_INFINITY && drawn && share == 0) {
                events.add(new Event(
                        step.step(),
                        domain + " had its "
                                + (epochs == Math.rint(epochs) ? Long.toString((long) epochs) : Double.toString(epochs))
                                + " epochs by step " + step.step()
                                + "; its share goes to the others."));
                return;
            }
            drawn |= share > 0;
        }
    }
}
