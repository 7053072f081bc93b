package dev.rheostat.ffi.load;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;

/**
 * Shared libraries that travel inside jars of the class path, unpacked once a version into a cache folder of the user.
 * A file is written under a temporary name and renamed, so that two processes never see half of one, and it is compared
 * with the jar's size and CRC at each start, so that a damaged one is unpacked again.
 */
public final class BundledLibraries {
    private BundledLibraries() {}

    /** Folders to try, in order. */
    static List<Path> cacheFolders(Map<String, String> environment) {
        List<Path> folders = new ArrayList<>();
        String cache = environment.get("XDG_CACHE_HOME"), home = environment.get("HOME");
        if (cache != null && cache.startsWith("/")) folders.add(Path.of(cache, "rheostat", "natives"));
        else if (home != null && home.startsWith("/")) folders.add(Path.of(home, ".cache", "rheostat", "natives"));
        folders.add(Path.of(
                System.getProperty("java.io.tmpdir"), "rheostat-" + System.getProperty("user.name"), "natives"));
        return folders;
    }

    /**
     * @param resource name of the library inside its jar
     * @return where it lies unpacked
     * @throws IOException with every reason: no such resource, or each folder that could not be written
     */
    public static Path unpack(String resource) throws IOException {
        return unpack(resource, cacheFolders(System.getenv()));
    }

    static Path unpack(String resource, List<Path> folders) throws IOException {
        URL url = BundledLibraries.class.getClassLoader().getResource(resource);
        if (url == null) throw new IOException("no " + resource + " on the class path");
        if (!(url.openConnection() instanceof JarURLConnection connection))
            throw new IOException(url + " is not inside a jar");
        String jar = Path.of(connection.getJarFileURL().getPath())
                .getFileName()
                .toString()
                .replaceFirst("\\.jar$", "");
        String file = resource.substring(resource.lastIndexOf('/') + 1);
        List<String> refusals = new ArrayList<>();
        long size = connection.getJarEntry().getSize(),
                crc = connection.getJarEntry().getCrc();
        for (Path folder : folders) {
            Path target = folder.resolve(jar).resolve(file);
            try {
                if (Files.isRegularFile(target) && Files.size(target) == size && crc(target) == crc) return target;
                Files.createDirectories(target.getParent());
                Path partial = Files.createTempFile(target.getParent(), file, ".partial");
                try (InputStream in = url.openStream()) {
                    Files.copy(in, partial, StandardCopyOption.REPLACE_EXISTING);
                    Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
                } finally {
                    Files.deleteIfExists(partial);
                }
                return target;
            } catch (IOException e) {
                refusals.add(folder + ": " + e);
            }
        }
        throw new IOException("cannot unpack " + file + " (" + String.join("; ", refusals) + ")");
    }

    private static long crc(Path file) throws IOException {
        CRC32 crc = new CRC32();
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) crc.update(buffer, 0, n);
        }
        return crc.getValue();
    }
}
