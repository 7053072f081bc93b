package dev.rheostat.ado;

/** What a policy remembers; a value. Only the policy that made a state knows its type. */
public interface PolicyState {}
