/** Calls into native libraries through the Foreign Function and Memory API: one class a C header. */
package dev.rheostat.ffi;
