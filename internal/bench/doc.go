// Package bench puts a ticketing server under load and measures it: comments in a closed loop (a number of connections, each of which
// sends again as soon as it is answered) and in an open loop (a given rate), and reads of the feed page.
//
// In the open loop the arrivals are fixed in advance, and latency counts from the moment at which a request should have been sent: a slow
// server cannot make itself look fast by slowing the generator down. Timers of Go are late by up to a millisecond when a process is idle;
// that is part of the figures.
//
// How long a comment takes to become visible is sampled by a few authors who post into threads of their own, and read the thread's page
// every two milliseconds until the comment in it is decided. The page comes from the query service, so this is the whole way. How many
// comments become visible in a second is not sampled: it is all accepted comments, divided by the time until the last one is decided.
package bench
