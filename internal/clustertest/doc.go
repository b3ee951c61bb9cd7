// Package clustertest runs clusters of the built binary on loopback, and does them harm: kills, stops, cut and one-way connections, lost and
// failing disks. Its tests are the promises that only several processes can keep. What does not need several nodes is in internal/contract;
// what does not need processes is tested in one process, with every fault under control.
//
// Every connection between two nodes goes through a proxy in front of the node that is dialed. The proxy finds out who dials by the owner of
// the socket's other end in /proc, so the product needs to know nothing of it; the tests therefore run on Linux only.
package clustertest
