/**
 * Level P of the test-bed: runs whose losses follow laws that are known, so that the best mixture is known too and a policy
 * can be charged what it lost. No model, no tokens, no device. docs/testbed.md shows what came out.
 */
package dev.rheostat.ado.testbed;
