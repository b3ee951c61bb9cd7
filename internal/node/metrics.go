package node

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ticketing/runtime/replica"
	"ticketing/runtime/shard"
)

// Metrics serves what the node counts, in Prometheus' format, for the admin listener: HTTP, databases, shards, Go.
func (n *Node) Metrics() http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(collector{n}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(prometheus.Gatherers{n.gateway.Registry(), own}, promhttp.HandlerOpts{})
}

// collector reads the counters of databases and shards when somebody asks.
type collector struct{ n *Node }

var (
	fsyncs     = prometheus.NewDesc("ticketing_store_fsyncs_total", "Fsyncs of files and folders.", nil, nil)
	diskBytes  = prometheus.NewDesc("ticketing_store_disk_bytes", "Size of all databases.", nil, nil)
	memtables  = prometheus.NewDesc("ticketing_store_memtable_bytes", "Size of all memtables.", nil, nil)
	cacheBytes = prometheus.NewDesc("ticketing_store_cache_bytes", "Size of the cached blocks.", nil, nil)
	debt       = prometheus.NewDesc("ticketing_store_compaction_debt_bytes", "Bytes that wait to be compacted.", nil, nil)
	expires    = prometheus.NewDesc("ticketing_peer_certificate_expires_seconds", "When this node's certificate in the cluster ends, in seconds since 1970.", nil, nil)
	leading    = prometheus.NewDesc("ticketing_shards_leading", "Shards that lead here.", []string{"service"}, nil)
	queue      = prometheus.NewDesc("ticketing_shard_queue", "Requests that wait for evaluation.", []string{"service"}, nil)
	versions   = prometheus.NewDesc("ticketing_rules_versions", "Versions of rules that are loaded.", nil, nil)
	instances  = prometheus.NewDesc("ticketing_rules_instances", "Instances of versions of rules, each with a memory of its own.", nil, nil)
	copied     = prometheus.NewDesc("ticketing_query_copied_bytes_total", "Bytes of other nodes' states that query's copy was begun with.", nil, nil)
	events     = prometheus.NewDesc("ticketing_shard_log_events", "Events kept in the logs.", []string{"service"}, nil)
)

// shardCounters are the counters of an actor, by name.
var shardCounters = []struct {
	desc *prometheus.Desc
	read func(*shard.Stats) uint64
}{
	shardCounter("entries", "Raft entries committed.", func(s *shard.Stats) uint64 { return s.Entries.Load() }),
	shardCounter("commands", "Commands evaluated.", func(s *shard.Stats) uint64 { return s.Commands.Load() }),
	shardCounter("reads", "Queries evaluated.", func(s *shard.Stats) uint64 { return s.Reads.Load() }),
	shardCounter("deliveries", "Parts of other logs delivered.", func(s *shard.Stats) uint64 { return s.Deliveries.Load() }),
	shardCounter("events", "Events committed.", func(s *shard.Stats) uint64 { return s.Events.Load() }),
	shardCounter("stale", "Entries rejected because their evaluator was stale.", func(s *shard.Stats) uint64 { return s.Stale.Load() }),
	shardCounter("refused", "Requests refused because a queue was full.", func(s *shard.Stats) uint64 { return s.Refused.Load() }),
	shardCounter("parked", "Events parked in the dead-letter lists.", func(s *shard.Stats) uint64 { return s.Parked.Load() }),
}

func shardCounter(name, help string, read func(*shard.Stats) uint64) struct {
	desc *prometheus.Desc
	read func(*shard.Stats) uint64
} {
	return struct {
		desc *prometheus.Desc
		read func(*shard.Stats) uint64
	}{prometheus.NewDesc("ticketing_shard_"+name+"_total", help, []string{"service"}, nil), read}
}

// replicaCounters are the counters of a replica.
var replicaCounters = []struct {
	desc *prometheus.Desc
	read func(*replica.Traffic) float64
}{
	replicaCounter("log_bytes", "Bytes appended to the Raft logs.", func(t *replica.Traffic) float64 { return float64(t.LogBytes.Load()) }),
	replicaCounter("snapshots_received", "Snapshots received.", func(t *replica.Traffic) float64 { return float64(t.Snapshots.Load()) }),
	replicaCounter("snapshot_received_bytes", "Bytes of the snapshots received.", func(t *replica.Traffic) float64 { return float64(t.SnapshotBytes.Load()) }),
	replicaCounter("snapshot_received_seconds", "Time that receiving snapshots took.", func(t *replica.Traffic) float64 { return t.Receiving().Seconds() }),
	replicaCounter("snapshot_restored_seconds", "Time that restoring received snapshots took.", func(t *replica.Traffic) float64 { return t.Restoring().Seconds() }),
}

func replicaCounter(name, help string, read func(*replica.Traffic) float64) struct {
	desc *prometheus.Desc
	read func(*replica.Traffic) float64
} {
	return struct {
		desc *prometheus.Desc
		read func(*replica.Traffic) float64
	}{prometheus.NewDesc("ticketing_replica_"+name+"_total", help, []string{"service"}, nil), read}
}

// Describe implements prometheus.Collector: the collector is unchecked, because services come from the node.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	m := c.n.store.Metrics()
	out <- prometheus.MustNewConstMetric(fsyncs, prometheus.CounterValue, float64(m.Fsyncs))
	for desc, bytes := range map[*prometheus.Desc]uint64{diskBytes: m.DiskBytes, memtables: m.MemtableBytes, cacheBytes: m.CacheBytes, debt: m.CompactionDebt} {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(bytes))
	}
	out <- prometheus.MustNewConstMetric(copied, prometheus.CounterValue, float64(c.n.copied.Load()))
	loaded, running := c.n.host.Holds()
	out <- prometheus.MustNewConstMetric(versions, prometheus.GaugeValue, float64(loaded))
	out <- prometheus.MustNewConstMetric(instances, prometheus.GaugeValue, float64(running))
	if c.n.peers != nil {
		out <- prometheus.MustNewConstMetric(expires, prometheus.GaugeValue, float64(c.n.peers.Expires().Unix()))
	}
	for _, s := range c.n.services() {
		c.service(out, s.name)
	}
	c.replicas(out)
}

// replicas sums over the replicas of a service. Those that the node no longer has do not count.
func (c collector) replicas(out chan<- prometheus.Metric) {
	sums := map[string][]float64{}
	for _, g := range c.n.replicas() {
		of := sums[g.key.service]
		if of == nil {
			of = make([]float64, len(replicaCounters))
			sums[g.key.service] = of
		}
		for i, counter := range replicaCounters {
			of[i] += counter.read(&g.replica.Traffic)
		}
	}
	for service, of := range sums {
		for i, counter := range replicaCounters {
			out <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, of[i], service)
		}
	}
}

// service sums over the shards of a service.
func (c collector) service(out chan<- prometheus.Metric, name string) {
	var lead, waiting, kept float64
	sums := make([]float64, len(shardCounters))
	for _, sh := range c.n.sys.Shards(name) {
		a := sh.Local()
		if a == nil {
			continue
		}
		if a.Leading() {
			lead++
		}
		waiting += float64(a.Stats.Queue.Load())
		kept += float64(a.Kept())
		for i, counter := range shardCounters {
			sums[i] += float64(counter.read(&a.Stats))
		}
	}
	out <- prometheus.MustNewConstMetric(leading, prometheus.GaugeValue, lead, name)
	out <- prometheus.MustNewConstMetric(queue, prometheus.GaugeValue, waiting, name)
	out <- prometheus.MustNewConstMetric(events, prometheus.GaugeValue, kept, name)
	for i, counter := range shardCounters {
		out <- prometheus.MustNewConstMetric(counter.desc, prometheus.CounterValue, sums[i], name)
	}
}
