package dev.rheostat.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Of a map by domain: one number alone is meant for every domain. It is kept under {@link #REST}, which a map may name too, for
 * the domains that it does not name.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
@interface OneForAll {
    String REST = "*";
}
