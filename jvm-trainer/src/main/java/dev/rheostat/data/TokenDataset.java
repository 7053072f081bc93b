package dev.rheostat.data;

import java.util.List;

/**
 * A dataset as training sees it.
 * @param fingerprint changes when domains, their order, their tokens or the tokenizer change
 */
public record TokenDataset(String name, String fingerprint, Tokenizer tokenizer, List<Domain> domains) {
    public TokenDataset {
        domains = List.copyOf(domains);
    }

    public List<String> names() {
        return domains.stream().map(Domain::name).toList();
    }

    public double[] shares() {
        return domains.stream().mapToDouble(Domain::share).toArray();
    }
}
