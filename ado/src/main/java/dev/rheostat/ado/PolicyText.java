package dev.rheostat.ado;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A policy in one word, NAME[/MODE][:KEY=VALUE]...: {@code ado/robust:ownCount=0}.
 *
 * @param mode empty for the policy's default
 * @param values settings by name; of policy static shares by domain
 */
public record PolicyText(String name, String mode, Map<String, Double> values) {
    /** @throws IllegalArgumentException for a policy or a mode that does not exist, naming the nearest, and for a part that is no KEY=NUMBER */
    public static PolicyText parse(String text) {
        String[] parts = text.split(":", -1), named = parts[0].split("/", 2);
        String mode = named.length == 2 ? named[1] : "";
        Policies.mode(named[0], mode);
        Map<String, Double> values = new LinkedHashMap<>();
        for (int i = 1; i < parts.length; i++) {
            String[] sides = parts[i].split("=", 2);
            try {
                values.put(sides[0], Double.valueOf(sides.length == 2 ? sides[1] : ""));
            } catch (NumberFormatException e) {
                throw new IllegalArgumentException(
                        "policy '" + text + "': '" + parts[i] + "' is no KEY=NUMBER, as in ado/robust:ownCount=0", e);
            }
        }
        return new PolicyText(named[0], mode, values);
    }

    /** The policy's settings, for a run of so many steps. @throws IllegalArgumentException as {@link PolicySettings#with(Map)} */
    public PolicySettings settings(long totalSteps) {
        return Policies.settings(name, mode, totalSteps).with(values);
    }
}
