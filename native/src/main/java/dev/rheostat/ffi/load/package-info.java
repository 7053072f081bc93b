/** Finds native libraries and links their functions: the only package that may call restricted methods. */
package dev.rheostat.ffi.load;
