/** Exit codes after sysexits.h, so that a supervisor can tell "do not restart, mend me" from "try again". */

/** EX_CONFIG: a setting or the routes file is wrong; a restart changes nothing. */
export const EXIT_CONFIG = 78
/** EX_OSERR: the system refused something, such as a port that is in use. */
export const EXIT_OS_ERROR = 71
/** EX_USAGE: arguments that a command does not understand. */
export const EXIT_USAGE = 64
/** EX_CANTCREAT: a file is there already or cannot be written. */
export const EXIT_CANNOT_CREATE = 73
