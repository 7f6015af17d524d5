/**
 * Short names of the instrumentations that `@opentelemetry/auto-instrumentations-node` can enable. Listed here because
 * asking the package loads all of them; a test keeps both in step.
 */
export const INSTRUMENTATION_NAMES: readonly string[] = (
  'amqplib aws-lambda aws-sdk bunyan cassandra-driver connect cucumber dataloader dns express fs ' +
  'generic-pool graphql grpc hapi host-metrics http ioredis kafkajs knex koa lru-memoizer memcached ' +
  'mongodb mongoose mysql mysql2 nestjs-core net openai oracledb pg pino redis restify router ' +
  'runtime-node socket.io tedious undici winston'
).split(' ')
