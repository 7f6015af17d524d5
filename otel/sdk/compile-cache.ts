import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Keeps compiled code between starts, in `dist/.compile-cache`: a fifth to a quarter of the CPU time of a start. Node
 * writes it when the process ends. It lies beside the code that it is made from, so whoever could change it could change
 * the code as well; in a shared folder for temporary files another user could plant code. If the folder is not writable,
 * the gateway starts without it, or reads the one that the image brings.
 *
 * Bounded by one file for each module and version of Node. `NODE_COMPILE_CACHE` chooses another folder, and
 * `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 */
enableCompileCache(join(__dirname, '../../.compile-cache'))
