package dev.rheostat.bench;

import dev.rheostat.config.RheostatException;
import dev.rheostat.config.RheostatException.Kind;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Of which models the sizes are that ops are timed at, and on which GPU. */
final class ShapeOptions {
    @Option(
            names = "--shape",
            split = ",",
            defaultValue = "ado-124m,ado-1.3b",
            paramLabel = "NAME",
            description = "Default: ado-124m (64 x 1024 tokens) and ado-1.3b (8 x 2048); small is for the simulator.")
    private List<String> names;

    @Mixin
    private GpuOption gpu;

    /** @throws RheostatException BAD_REQUEST naming those that exist */
    List<KernelShape> shapes() {
        List<KernelShape> all = new ArrayList<>();
        try {
            for (String name : names) all.add(KernelShape.of(name));
        } catch (IllegalArgumentException e) {
            throw new RheostatException(Kind.BAD_REQUEST, e.getMessage(), e);
        }
        return all;
    }

    int ordinal() {
        return gpu.ordinal();
    }
}
