package dev.rheostat.bench;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** What options that count take: the command line itself refuses other numbers, as it does letters. */
final class Counts {
    private Counts() {}

    static final class Positive implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String value) {
            int count = whole(value);
            if (count < 1) throw new TypeConversionException(count + " is not above 0");
            return count;
        }
    }

    static final class NotNegative implements ITypeConverter<Integer> {
        @Override
        public Integer convert(String value) {
            int count = whole(value);
            if (count < 0) throw new TypeConversionException(count + " is below 0");
            return count;
        }
    }

    private static int whole(String value) {
        try {
            return Integer.parseInt(value);
        } catch (NumberFormatException e) {
            throw new TypeConversionException("'" + value + "' is not a whole number up to " + Integer.MAX_VALUE);
        }
    }
}
