export { freePort } from '../../tools/stack/free-port'
