/**
 * Exit codes from sysexits.h, so that a supervisor can tell a configuration error, which a restart cannot fix, from
 * others.
 */

/** EX_CONFIG: a setting or the routes file is wrong; a restart does not help. */
export const EXIT_CONFIG = 78
/** EX_OSERR: the operating system refused an operation, for example because a port is in use. */
export const EXIT_OS_ERROR = 71
/** EX_USAGE: invalid command-line arguments. */
export const EXIT_USAGE = 64
/** EX_CANTCREAT: a file exists already or cannot be written. */
export const EXIT_CANNOT_CREATE = 73
