/** JCuda: a second binding of the driver, and handles in and out for programs that use it. The only package that sees it. */
package dev.rheostat.cuda.jcuda;
