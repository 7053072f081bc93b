package dev.rheostat.data;

/**
 * One domain of a dataset.
 * @param share of all training tokens, before any mixing: the natural prior
 */
public record Domain(String name, TokenSource train, TokenSource valid, double share) {}
