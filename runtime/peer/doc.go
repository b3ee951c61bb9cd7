// Package peer connects the nodes of a cluster. Every connection is TLS 1.3 with certificates of the cluster's own authority on both
// sides; without a valid one nothing is answered. A node has one port: ALPN tells gRPC ("h2") from plain streams ("ticketing/1").
//
// # Certificates
//
// ECDSA P-256. The authority's certificate has the URI ticketing://<cluster>, a node's ticketing://<cluster>/<node> and both extended key
// usages. Names of hosts do not count: a node is who its certificate says, wherever it is reached. There are no intermediates and no
// revocation lists: who is a member is asked for at every new connection, see [Config.Admit].
//
// # Streams
//
// The side that connects sends a header: length of what follows (2 bytes, big endian, at most 4096), length of the purpose (1), purpose,
// argument. The other side answers with one byte: 0 if the stream is accepted, otherwise the length of a reason that follows, in UTF-8,
// and closes. What comes behind the 0 is the purpose's own, in both directions.
//
// # Join tokens
//
// ticketing1.<payload>.<signature>, both in unpadded URL-safe base64. The payload is JSON: c cluster, n node, i id (random), e expiry in
// Unix seconds. The signature is the authority's, in ASN.1, of the SHA-256 of "ticketing join token\x00" and the payload.
package peer
