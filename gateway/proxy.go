package gateway

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/valyala/fasthttp"
)

var hdrForwardedProto = []byte("X-Forwarded-Proto")

// maxHops bounds how much of an X-Forwarded-For is looked at.
const maxHops = 32

// peer is the address at the other end of the connection.
func peer(ctx *fasthttp.RequestCtx) netip.Addr {
	if tcp, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func trusted(proxies []netip.Prefix, a netip.Addr) bool {
	for _, p := range proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// clientAddr is who asks: the peer, or if that is a proxy that we trust, the hop nearest to us that is none. What clients further away claim
// is not looked at.
func (g *Gateway) clientAddr(ctx *fasthttp.RequestCtx) netip.Addr {
	from := peer(ctx)
	if len(g.config.Proxies) == 0 || !trusted(g.config.Proxies, from) {
		return from
	}
	lines := ctx.Request.Header.PeekAll("X-Forwarded-For")
	for i, hops := len(lines)-1, 0; i >= 0; i-- {
		var stop bool
		if from, stop = forwarded(g.config.Proxies, from, lines[i], &hops); stop {
			break
		}
	}
	return from
}

// forwarded walks one X-Forwarded-For line from its end. It stops at the first hop that is no trusted proxy, or no address: then the last
// one before it is who we know.
func forwarded(proxies []netip.Prefix, from netip.Addr, line []byte, hops *int) (netip.Addr, bool) {
	for len(line) > 0 {
		if *hops++; *hops > maxHops {
			return from, true
		}
		i := bytes.LastIndexByte(line, ',')
		hop, err := parseHop(line[i+1:])
		if err != nil {
			return from, true
		}
		if from = hop; !trusted(proxies, hop) || i < 0 {
			return from, !trusted(proxies, hop)
		}
		line = line[:i]
	}
	return from, false
}

// parseHop reads an address, with or without a port and brackets.
func parseHop(b []byte) (netip.Addr, error) {
	s := string(bytes.TrimSpace(b))
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	if n := len(s); n > 2 && s[0] == '[' && s[n-1] == ']' {
		s = s[1 : n-1]
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err
}

// secure reports whether the client speaks HTTPS: with us, or with a proxy in front of a gateway in Dev.
func (g *Gateway) secure(ctx *fasthttp.RequestCtx) bool {
	return !g.config.Dev || g.proto(ctx) == "https"
}

// proto is what a proxy that we trust says its client spoke; empty if there is none, or it does not say.
func (g *Gateway) proto(ctx *fasthttp.RequestCtx) string {
	if len(g.config.Proxies) == 0 {
		return ""
	}
	p := ctx.Request.Header.PeekBytes(hdrForwardedProto)
	if len(p) == 0 || !trusted(g.config.Proxies, peer(ctx)) {
		return ""
	}
	return string(p)
}

// refusePlain answers a request that reached a proxy by plain HTTP, like [Gateway.Redirect]: pages are sent to HTTPS, programs are told.
func (g *Gateway) refusePlain(ctx *fasthttp.RequestCtx) bool {
	if g.config.Dev || g.proto(ctx) != "http" {
		return false
	}
	h := &ctx.Request.Header
	mode := string(h.Peek("Sec-Fetch-Mode"))
	if !navigates(string(h.Method()), string(ctx.Path()), mode) {
		problem(ctx, fasthttp.StatusForbidden, plainDetail)
		return true
	}
	ctx.Response.Header.SetCanonical(hdrLocation, append(append([]byte("https://"), h.Host()...), h.RequestURI()...))
	ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
	return true
}
