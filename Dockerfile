# hook-keys in a container: docs/INSTALL.md says how to run it.

FROM rust:1.90-slim-bookworm AS build
WORKDIR /build

# The dependencies in a layer of their own, which is made anew only when they change. For the time of this build, the
# package is nearly empty.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/http && \
    touch src/lib.rs benches/micro.rs benches/http/main.rs && \
    echo 'fn main() {}' > src/main.rs && \
    cargo build --locked --release

COPY src src
COPY migrations migrations
COPY openapi.yaml ./
# Newer than what was built of their empty twins.
RUN touch src/lib.rs src/main.rs && \
    cargo build --locked --release && \
    mkdir /data

# The C library, the certificates of public authorities and a user: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/hook-keys /usr/bin/hook-keys
COPY --from=build --chown=65532:65532 --chmod=0700 /data /var/lib/hook-keys

ENV HOOK_KEYS_LISTEN=0.0.0.0:8080
ENV HOOK_KEYS_DATABASE_URL=sqlite:/var/lib/hook-keys/hook-keys.db

VOLUME /var/lib/hook-keys
EXPOSE 8080
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=30s --timeout=10s CMD ["/usr/bin/hook-keys", "healthcheck"]
ENTRYPOINT ["/usr/bin/hook-keys"]
CMD ["serve"]
