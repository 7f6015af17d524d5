# The gateway as an image; the demo upstream and the incident service are other commands of the same one.
#
#   docker build -t myesi-gateway .
#   docker run --rm --read-only --cap-drop ALL -p 8000:8000 -v ./gateway.yaml:/app/gateway.yaml:ro myesi-gateway
#
# For two architectures, with the list of what is in it (CycloneDX) and how it was built:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --provenance mode=max --push -t REGISTRY/myesi-gateway:VERSION .
#   syft REGISTRY/myesi-gateway:VERSION -o cyclonedx-json=image.cdx.json
#
# The bases are build arguments. To pin their bytes add the digest that `docker buildx imagetools inspect` prints:
# node:24.21.0-bookworm-slim@sha256:…
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
# Holds glibc and libstdc++, which Node needs, and neither shell nor package manager. Of the same Debian as the one above.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# The optional packages are needed here: one of them is the compiler. The compiled files are the same for every architecture.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/var/cache/npm npm ci --cache /var/cache/npm --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY otel otel
# The demo upstream of docker-compose.yml, and nothing else of the tools.
COPY tools/demo/answer.ts tools/demo/answers.ts tools/demo/main.ts tools/demo/upstream.ts tools/demo/
RUN npm run build && find dist -name '*.d.ts' -delete && rm -f dist/.build.tsbuildinfo

# The optional packages here would be a second Node.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/var/cache/npm npm ci --cache /var/cache/npm --ignore-scripts --omit=dev --omit=optional
COPY --from=build /app/dist dist
# Compiles every module once, into dist/.compile-cache: a start then takes a quarter less CPU time.
RUN ["node", "--enable-source-maps", "--min-semi-space-size=16", "--require", "./dist/otel/sdk/register.js", "dist/src/main.js", "--version"]

FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=local
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="myesi-gateway" \
      org.opencontainers.image.description="An OpenTelemetry-first API gateway" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
WORKDIR /app
# Node alone: no npm, which nothing here calls.
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
COPY --from=dependencies /app/node_modules node_modules
COPY --from=dependencies /app/dist dist
COPY --chmod=644 package.json gateway.yaml ./
COPY monitoring/runbooks monitoring/runbooks

# By number, so that Kubernetes can see that it is not root (`runAsNonRoot`). Nothing below /app belongs to this user and
# nothing is written: the root file system may be read-only.
USER 65532:65532

# The ops port listens on loopback by default, where no Prometheus beside this container could reach it. Inside a container
# "all addresses" are those of its own networks; do not publish 9464 where strangers are.
ENV NODE_ENV=production \
    OPS_HOST=0.0.0.0
EXPOSE 8000 9464

# Node itself asks: the image has no curl.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
  CMD ["/usr/local/bin/node", "-e", "fetch(`http://127.0.0.1:${process.env.OPS_PORT || 9464}/readyz`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# No npm and no shell in between: SIGTERM has to reach the gateway, which finishes its requests and ends with 0.
CMD ["node", "--enable-source-maps", "--min-semi-space-size=16", "--require", "./dist/otel/sdk/register.js", "dist/src/main.js"]
