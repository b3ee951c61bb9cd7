package wire

import "ticketing"

// Formats are the cluster formats that this program reads and writes. A program that stores or sends something which the one before it would
// misread has a higher newest format, and does that only where the cluster is of that format: see [EntryHeader].
func Formats() ticketing.Formats {
	return ticketing.Formats{Oldest: ticketing.FirstFormat, Newest: newestFormat}
}
