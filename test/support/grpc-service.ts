import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type CallOptions,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'

const same = (bytes: Buffer): Buffer => bytes

function method(name: string, requestStream: boolean, responseStream: boolean): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
}

/** A service whose messages are plain bytes: tests need no protobuf. */
export const ECHO = {
  unary: method('Unary', false, false),
  clientStream: method('ClientStream', true, false),
  serverStream: method('ServerStream', false, true),
  bidi: method('Bidi', true, true),
} as const

export interface EchoHandlers {
  unary: handleUnaryCall<Buffer, Buffer>
  clientStream: handleClientStreamingCall<Buffer, Buffer>
  serverStream: handleServerStreamingCall<Buffer, Buffer>
  bidi: handleBidiStreamingCall<Buffer, Buffer>
}

export interface GrpcService {
  /** A target for `gateway.yaml`. */
  readonly url: string
  readonly port: number
  readonly server: Server
  /** Replaced by tests. */
  readonly handlers: EchoHandlers
  /** Metadata of each call. */
  readonly calls: Metadata[]
  stop(): Promise<void>
}

const running = new Set<GrpcService>()

// A failed test must not keep mocha alive.
after(async () => {
  await Promise.all([...running].map(service => service.stop()))
})

/** A real gRPC server (`@grpc/grpc-js`) that echoes. */
export async function startGrpcService(): Promise<GrpcService> {
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  const calls: Metadata[] = []
  const handlers: EchoHandlers = {
    unary: (call, respond) => respond(null, call.request),
    clientStream: (call, respond) => {
      const chunks: Buffer[] = []
      call.on('data', (chunk: Buffer) => chunks.push(chunk))
      call.on('end', () => respond(null, Buffer.concat(chunks)))
    },
    serverStream: call => {
      const count = Number(call.request.toString())
      for (let i = 0; i < count; i++) call.write(Buffer.from(String(i)))
      call.end()
    },
    bidi: call => {
      call.on('data', (chunk: Buffer) => call.write(chunk))
      call.on('end', () => call.end())
    },
  }
  server.addService(ECHO, {
    unary: ((call, respond) => {
      calls.push(call.metadata)
      handlers.unary(call, respond)
    }) satisfies EchoHandlers['unary'],
    clientStream: ((call, respond) => {
      calls.push(call.metadata)
      handlers.clientStream(call, respond)
    }) satisfies EchoHandlers['clientStream'],
    serverStream: (call => {
      calls.push(call.metadata)
      handlers.serverStream(call)
    }) satisfies EchoHandlers['serverStream'],
    bidi: (call => {
      calls.push(call.metadata)
      handlers.bidi(call)
    }) satisfies EchoHandlers['bidi'],
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const service: GrpcService = {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    handlers,
    calls,
    stop: async () => {
      running.delete(service)
      server.forceShutdown()
    },
  }
  running.add(service)
  return service
}

/** A real gRPC client of one connection. */
export function grpcClient(port: number, options: object = {}): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
    // The gateway's own retries are tested, not those of the client.
    'grpc.enable_retries': 0,
    ...options,
  })
}

export interface UnaryAnswer {
  readonly message: Buffer | undefined
  readonly error: ServiceError | null
  readonly status: StatusObject
}

export function metadataOf(fields: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value)
  return metadata
}

/** One unary call: its message or error, and its status with trailers. */
export function callUnary(
  client: Client,
  message: Buffer | string,
  {
    fields = {},
    path = ECHO.unary.path,
    ...options
  }: CallOptions & { fields?: Record<string, string>; path?: string } = {},
): Promise<UnaryAnswer> {
  return new Promise(resolve => {
    let answer: Omit<UnaryAnswer, 'status'> | undefined
    let ended: StatusObject | undefined
    const done = (): void => {
      if (answer && ended) resolve({ ...answer, status: ended })
    }
    const call = client.makeUnaryRequest(
      path,
      same,
      same,
      Buffer.from(message as string),
      metadataOf(fields),
      options,
      (error, received) => {
        answer = { error, message: received }
        done()
      },
    )
    call.on('status', (status: StatusObject) => {
      ended = status
      done()
    })
  })
}
