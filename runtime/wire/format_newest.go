//go:build !nextformat

package wire

import "ticketing"

// newestFormat is the newest cluster format that this program knows.
const newestFormat = ticketing.PlatformFormat
