# An image with the program, the public certificate authorities, and nothing else.
#
# It has no shell, so it has no HEALTHCHECK: whoever runs it asks GET /readyz, which answers 200 if the node can serve and 503 if not (over
# HTTPS at the port of pages and API). GET /healthz only says that the process answers.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/ticketing ./cmd/ticketing \
	&& install -d -m 0700 /out/volumes/data

FROM scratch
# ACME, mail servers and collectors of traces are checked against them.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ticketing /ticketing
# A new volume takes owner and mode over from here. COPY keeps the modes of what is in a directory, and not the directory's own.
COPY --from=build --chown=65532:65532 /out/volumes /
USER 65532:65532
WORKDIR /
VOLUME /data
# Pages and API; other nodes.
EXPOSE 8443 7000
ENTRYPOINT ["/ticketing"]
CMD ["serve", "--data", "/data"]
